from __future__ import annotations

import pytest

from janitor.core.fit import misfits
from janitor.core.image import Abilities
from janitor.core.policy import Rule
from tests.factories import delete, keep

ABLE = Abilities(
    lists_untagged=True, records_pushes=True, records_pulls=True, untags=True, archives=True, restores=True
)
UNABLE = Abilities(lists_untagged=False)

RULES = {
    "not_pulled_for deletes nothing here": delete(not_pulled_for="90d"),
    "pulled_within keeps all that it selects here": keep(pulled_within="90d"),
    "order_by: pulled deletes nothing here": delete(beyond_newest=3, order_by="pulled"),
    "archive does nothing here": delete(older_than="9d", archive=True),
    "archived selects nothing here": delete(archived=True, archived_for="90d"),
    "untag takes off nothing here": delete(tags="a", untag=True),
    "untagged selects little": delete(untagged=True),
}


@pytest.mark.parametrize(("said", "rule"), RULES.items(), ids=str)
def test_what_a_registry_can_not_do_is_said_of_each_rule_that_asks_it(said: str, rule: Rule) -> None:
    (sentence,) = misfits(rule, UNABLE)
    assert sentence.startswith(said)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_nothing_is_said_where_it_can(rule: Rule) -> None:
    assert list(misfits(rule, ABLE)) == []


def test_nothing_is_said_of_a_rule_that_asks_for_none_of_it() -> None:
    assert list(misfits(delete(tags="pr-*", older_than="14d"), UNABLE)) == []
