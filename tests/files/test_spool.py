from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

import pytest

from janitor.core.decision import Decider
from janitor.core.image import Abilities
from janitor.core.plan import Action, ActionKind
from janitor.core.use import InUse
from janitor.files.planfile import encode_line
from janitor.files.spool import NO_LINES, Spool
from tests.factories import ago, delete, digest, image, index, inventory, keep, policy_set
from tests.instant import NOW


@pytest.fixture
def spool() -> Iterator[Spool]:
    spool = Spool()
    yield spool
    spool.close()


def action(name: str, kind: ActionKind = ActionKind.DELETE, size: int | None = 10, **fields: Any) -> Action:
    usual: dict[str, Any] = {
        "registry": "prod",
        "repository": "team/app",
        "tags": (name,),
        "rules": ("cleanup/1",),
        "reason": "cleanup/1",
        "pushed_at": ago("30d"),
    }
    return Action(action=kind, digest=digest(name), size_bytes=size, **usual | fields)


def test_actions_come_back_as_they_were_put(spool: Spool) -> None:
    actions = [action("a"), action("b", ActionKind.UNTAG, remove_tags=("b",)), action("ü\n\u2028", size=None)]
    lines = spool.put(actions)
    assert list(spool.actions(lines)) == actions


def test_each_repository_has_lines_of_its_own(spool: Spool) -> None:
    one, none, other = spool.put([action("a")]), spool.put([]), spool.put([action("b"), action("c")])
    assert list(spool.actions(other)) == [action("b"), action("c")]
    assert list(spool.actions(none)) == []
    assert list(spool.actions(one)) == [action("a")]


def test_lines_can_be_put_after_others_were_read(spool: Spool) -> None:
    one = spool.put([action("a")])
    assert list(spool.actions(one)) == [action("a")]
    other = spool.put([action("b")])
    assert (list(spool.actions(one)), list(spool.actions(other))) == ([action("a")], [action("b")])


def test_lines_are_those_of_a_plan_file(spool: Spool) -> None:
    lines = spool.put([action("a"), action("b")])
    assert spool.raw(lines) == encode_line(action("a")) + encode_line(action("b"))


def test_lines_are_counted_by_kind_and_only_deletions_free_bytes(spool: Spool) -> None:
    lines = spool.put(
        [
            action("a", size=5),
            action("b", size=None),
            action("c", ActionKind.UNTAG, remove_tags=("c",)),
            action("d", ActionKind.ARCHIVE),
            action("e", size=7),
        ]
    )
    assert lines.counts == (3, 1, 1)
    assert lines.freed_bytes == 12


def test_no_lines_say_nothing(spool: Spool) -> None:
    assert list(spool.actions(NO_LINES)) == []
    assert spool.raw(NO_LINES) == b""


def test_a_ration_leaves_only_the_lines_that_it_allows(spool: Spool) -> None:
    actions = [action("first"), action("with-first"), action("second"), action("untag", ActionKind.UNTAG)]
    lines = spool.put(actions, array("l", [1, 1, 2, 0]))
    after = spool.put([action("another")])
    cut = spool.cut(lines, 1)
    assert list(spool.actions(cut)) == [actions[0], actions[1], actions[3]]
    assert (cut.counts, cut.freed_bytes) == ((2, 1, 0), 20)
    assert list(spool.actions(spool.cut(lines, 0))) == [actions[3]]
    assert list(spool.actions(spool.cut(lines, 2))) == actions
    assert list(spool.actions(after)) == [action("another")]


def test_every_image_that_stays_is_noted_once_with_its_reasons(spool: Spool) -> None:
    decider = Decider(policy_set(keep(tags="1.*"), delete(tags="pr-*")), InUse(), NOW)
    repository = inventory(
        image("1.0", id="release"),
        image("pr-1"),
        image(id="amd"),
        image(id="arm"),
        index("pr-2", children=["amd"]),
        index("1.1", children=["arm"]),
        image("other"),
    )
    decisions = decider.decide(repository, hosts=(), abilities=Abilities())
    place = spool.note_stays(decisions)
    spool.note_stays(decisions)
    stays = list(spool.stays(place))
    assert [stay.digest for stay in stays] == [digest(name) for name in ("release", "arm", "1.1", "other")]
    assert all(stay.reasons for stay in stays)
    assert stays[-1].reasons == ("no rule selects tag other",)
    assert stays[0].tags == ("1.0",)


def test_nothing_noted_is_nothing_read(spool: Spool) -> None:
    assert list(spool.stays((0, 0))) == []
