from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from janitor.core.report import (
    ErrorReport,
    Outcome,
    RegistryReport,
    Report,
    RequestCounts,
    Stay,
    Totals,
    Unselected,
    UseReport,
    UseSource,
)
from janitor.reports.console import SHOWN, Look, clean, render
from tests.factories import digest
from tests.instant import NOW
from tests.reports.ledger import outcome, report, repository


def shown(page: Report, *outcomes: Outcome, stays: tuple[Stay, ...] = (), **look: Any) -> list[str]:
    lines = list(render(page, outcomes, now=NOW, stays=stays, look=Look(**look)))
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)
    return [line[:-1] for line in lines]


def stay(*tags: str, reason: str = "latest is protected", name: str = "team/app") -> Stay:
    return Stay(registry="prod", repository=name, digest=digest("it"), tags=tags, reasons=(reason,))


def test_an_image_that_goes_says_what_how_old_how_large_and_why() -> None:
    lines = shown(report(), outcome("pr-1", rules=("services/prs",), reason="services/prs (p.yaml:3): pr-*"))
    (line,) = (line for line in lines if "pr-1" in line)
    assert re.fullmatch(r"  delete +pr-1 +20d +1\.0 MiB +services/prs \(p\.yaml:3\): pr-\*", line)


def test_images_stand_below_the_name_of_their_repository() -> None:
    lines = shown(
        report(repository("a", planned=1), repository("b", planned=1)),
        outcome("one", repository="a"),
        outcome("two", repository="b"),
    )
    order = [
        next(i for i, line in enumerate(lines) if word in line) for word in ("prod/a", "one", "prod/b", "two")
    ]
    assert order == sorted(order)
    assert lines[0] == "prod/a  10 images, 1 planned, 10 would remain"


def test_an_untagged_image_is_called_by_its_short_digest() -> None:
    text = "\n".join(shown(report(), outcome(id="x")))
    assert digest("x")[:19] in text
    assert digest("x")[:20] not in text


def test_an_untag_says_what_goes_and_what_stays_on_the_image() -> None:
    text = "\n".join(shown(report(), outcome("1.2", "latest", action="untag", remove=["1.2"])))
    assert re.search(r"untag +1\.2 \(leaves latest\)", text)
    assert "would delete 0 images of 10 in 1 repository" in text
    assert "would untag 1 image" in text


def test_many_tags_are_counted_unless_all_is_asked_for() -> None:
    tags = [f"t{number}" for number in range(9)]
    assert "t0, t1, t2 +6" in "\n".join(shown(report(), outcome(*tags)))
    assert ", ".join(tags) in "\n".join(shown(report(), outcome(*tags), verbose=True))


def test_an_unknown_size_is_a_question_mark_and_an_unknown_push_says_nothing() -> None:
    (line,) = (
        line for line in shown(report(), outcome("t", size=None, pushed=None)) if line.startswith("  del")
    )
    assert line.split()[2:4] == ["?", "older"]


def test_a_repository_shows_so_many_and_says_how_many_more() -> None:
    many = [outcome(f"t{number}", size=None) for number in range(SHOWN + 1190)]
    lines = shown(report(), *many)
    assert sum(line.startswith("  delete") for line in lines) == SHOWN
    assert "  … and 1,190 more; -v shows all" in lines
    assert sum(line.startswith("  delete") for line in shown(report(), *many, verbose=True)) == SHOWN + 1190


def test_what_was_not_done_is_shown_however_much_was_done() -> None:
    done = [outcome(f"t{number}", kind="deleted") for number in range(SHOWN + 5)]
    lines = shown(report(mode="delete"), *done, outcome("bad", kind="failed", detail="HTTP 500"))
    assert any(re.match(r"  failed +bad .*HTTP 500 \(cleanup/1\)", line) for line in lines)


def test_outcomes_are_read_as_they_are_written() -> None:
    taken = 0

    def endless() -> Iterator[Outcome]:
        nonlocal taken
        for number in range(10**9):
            taken = number
            yield outcome(f"t{number}")

    lines = render(report(), endless(), now=NOW, look=Look(verbose=True))
    for _ in range(100):
        next(lines)
    assert taken < 200


def test_an_idle_repository_is_shown_to_those_who_ask_for_all() -> None:
    page = report(repository("idle"))
    assert not any("idle" in line for line in shown(page))
    assert any("prod/idle" in line for line in shown(page, verbose=True))


def test_what_stays_is_shown_with_its_reasons() -> None:
    lines = shown(report(), outcome("pr-1"), stays=(stay("latest", "1.0"),), verbose=True)
    assert any(re.match(r"  stays +latest, 1\.0 +latest is protected$", line) for line in lines)


def test_outcomes_of_a_repository_that_the_report_lacks_are_not_lost() -> None:
    lines = shown(report(repository("a")), outcome("x", repository="other"))
    assert "prod/other" in lines
    assert any("would delete 1 image " in line for line in lines)


@pytest.mark.parametrize(("state", "word"), [("limited", "stopped"), ("failed", "failed")])
def test_a_repository_in_which_nothing_is_done_says_why_once(state: str, word: str) -> None:
    why = "90% of its images would go, max_percent is 80"
    page = report(
        repository(state=state),
        errors=(ErrorReport(registry="prod", repository="team/app", code="limit", message=why),),
    )
    lines = shown(page)
    assert f"  {word}  {why}" in lines
    assert "\n".join(lines).count(why) == 1


def test_what_stops_a_repository_is_told_once_for_all_that_is_planned_in_it() -> None:
    why = "90% of its images would go, max_percent is 80"
    lines = shown(report(repository(state="limited")), *(outcome(tag, detail=why) for tag in "abc"))
    assert f"  stopped  {why}" in lines
    assert "\n".join(lines).count(why) == 1


def test_what_goes_along_names_the_rules_of_what_it_goes_with() -> None:
    along = outcome(id="x", rules=("cleanup/1", "cleanup/2"), reason="goes with sha256:0123")
    assert any(
        line.endswith("goes with sha256:0123 (cleanup/1, cleanup/2)") for line in shown(report(), along)
    )


def test_a_tag_that_holds_a_digest_is_shortened_on_a_terminal() -> None:
    tag = f"{digest('x').replace(':', '-')}.sig"
    assert f"{tag[:19]}.sig " in "\n".join(shown(report(), outcome(tag), width=120))
    assert tag in "\n".join(shown(report(), outcome(tag)))


def test_a_repository_is_stopped_for_what_stopped_its_registry() -> None:
    why = "the sources of use name nothing of it"
    page = report(
        repository(state="limited"), errors=(ErrorReport(registry="prod", code="unused", message=why),)
    )
    assert f"  stopped  {why}" in shown(page)
    assert f"error:  prod: {why}" in shown(page)


def test_what_is_stopped_is_not_counted_as_going() -> None:
    lines = shown(report(repository(state="limited", planned=1)), outcome("t"))
    assert any(line.startswith("  stopped  t ") for line in lines)
    assert "would delete 0 images of 10 in 1 repository" in lines
    assert "stopped: 1 image, by a limit, an interrupt or what could not be read" in lines
    assert not any("--delete" in line for line in lines)


def test_what_a_deleting_run_did_not_reach_is_not_counted_as_deleted() -> None:
    lines = shown(report(mode="delete", exit_code=143), outcome("a", kind="deleted"), outcome("b"))
    assert "deleted 1 image (1.0 MiB at most, layers are shared) of 10 in 1 repository" in lines
    assert any(line.startswith("stopped: 1 image") for line in lines)
    assert any(line.startswith("interrupted") for line in lines)


def test_errors_say_of_what_they_are() -> None:
    page = report(
        errors=(
            ErrorReport(registry="prod", repository="gone", code="gone", message="404"),
            ErrorReport(registry="prod", code="denied", message="403"),
            ErrorReport(code="file", message="disk full"),
        )
    )
    lines = [line for line in shown(page) if line.startswith("error:")]
    assert lines == ["error:  prod/gone: 404", "error:  prod: 403", "error:  disk full"]


def test_sources_of_use_say_what_they_gave_or_why_not() -> None:
    page = report(
        in_use=UseReport(
            sources=(UseSource(source="file: a", references=1), UseSource(source="kubernetes", error="403")),
            references=1,
            not_found=tuple(f"host/app:{number}" for number in range(20)),
        )
    )
    lines = shown(page)
    assert "in use:  file: a: 1 reference" in lines
    assert "in use:  kubernetes: 403" in lines
    assert any(
        line.startswith("in use, but not found:  host/app:0, ") and "and 8 more" in line for line in lines
    )


def test_a_dry_run_closes_with_its_sums_and_what_to_type_next() -> None:
    lines = shown(
        report(repository(images=1204), repository("b", images=0)),
        outcome("a", size=3 * 2**30),
        outcome("b", size=3 * 2**29),
        outcome("c", size=None),
        outcome("d", action="archive"),
    )
    size = "4.5 GiB at most, layers are shared, 1 of unknown size"
    assert lines[-3:] == [
        f"would delete 3 images ({size}) of 1,204 in 2 repositories",
        "would archive 1 image",
        "nothing was deleted; add --delete to do so",
    ]


def test_a_deleting_run_closes_with_what_was_not_done() -> None:
    lines = shown(
        report(mode="delete", totals=Totals(repositories=1, images=10, failed=1, skipped=2, refused=0)),
        outcome("a", kind="deleted"),
        outcome("b", kind="failed"),
    )
    assert lines[-2:] == [
        "deleted 1 image (1.0 MiB at most, layers are shared) of 10 in 1 repository",
        "not done: 1 failed, 2 skipped",
    ]


def test_a_run_closes_with_what_only_the_lack_of_a_rule_keeps() -> None:
    rows = (Unselected(pattern="sha-*", images=1190), Unselected(pattern="nightly-*", images=14))
    assert shown(report(unselected=rows))[-1] == (
        "1,204 images stay because no rule selects: sha-* (1,190), nightly-* (14)"
    )
    assert shown(report(unselected=(Unselected(pattern="x", images=1),)))[-1] == (
        "1 image stays because no rule selects: x (1)"
    )


def test_many_shapes_of_unselected_tags_are_summed_up() -> None:
    rows = tuple(Unselected(pattern=f"p{number}", images=2) for number in range(20))
    assert shown(report(unselected=rows))[-1].endswith("p11 (2), 8 more (16)")
    assert shown(report(unselected=rows), verbose=True)[-1].endswith("p19 (2)")


def test_notes_come_first_even_if_quiet() -> None:
    note = ("no state folder",)
    assert shown(report(), notes=note)[0] == "dry run: no state folder"
    assert shown(report(mode="delete"), notes=note, quiet=True)[0] == "run: no state folder"


def test_quiet_leaves_errors_and_the_closing_lines() -> None:
    why = "too many"
    page = report(
        repository(state="limited"),
        repository("b"),
        errors=(ErrorReport(registry="prod", repository="team/app", code="limit", message=why),),
    )
    assert shown(page, outcome("a"), outcome("b", repository="b"), quiet=True) == [
        f"error:  prod/team/app: {why}",
        "would delete 1 image (1.0 MiB at most, layers are shared) of 20 in 2 repositories",
        "stopped: 1 image, by a limit, an interrupt or what could not be read",
        "nothing was deleted; add --delete to do so",
    ]


def test_requests_are_told_to_those_who_ask_for_all() -> None:
    asked = RegistryReport(
        name="prod", provider="ecr", requests=RequestCounts(list=12, delete=4, other=3), retries=2
    )
    told = "prod (ecr): requests 12 to list, 4 to delete, 3 other; 2 of them retries"
    assert told in shown(report(registries=(asked,)), verbose=True)
    assert told not in shown(report(registries=(asked,)))


EVIL = "\x1b[2J\x1b]0;owned\x07\r\n\u202egnp\u200b"


def test_nothing_from_a_registry_reaches_the_terminal_as_a_command() -> None:
    page = report(
        repository(EVIL),
        unselected=(Unselected(pattern=EVIL, images=1),),
        errors=(ErrorReport(registry=EVIL, repository=EVIL, code="x", message=EVIL),),
        in_use=UseReport(sources=(UseSource(source=EVIL, error=EVIL),), not_found=(EVIL,)),
    )
    evil = outcome(EVIL, repository=EVIL, reason=EVIL, detail=EVIL, rules=(EVIL,))
    for width in (None, 50, 140):
        lines = shown(
            page, evil, stays=(stay(EVIL, reason=EVIL, name=EVIL),), width=width, notes=(EVIL,), verbose=True
        )
        assert all(line.isprintable() for line in lines)
        assert sum("\\x1b[2J" in line for line in lines) > 5


def test_clean_text_stays_as_it_is() -> None:
    assert clean("größe 版本 1.0") == "größe 版本 1.0"
    assert clean("a\x00\u2028") == "a\\x00\\u2028"


@pytest.mark.parametrize("width", [40, 60, 80, 99, 100, 120, 200])
def test_no_line_of_images_is_wider_than_the_terminal(width: int) -> None:
    page = report(repository(images=12345, planned=4, state="limited", remaining=12341))
    lines = shown(
        page,
        outcome(*(f"feature-with-a-long-name-{number}" for number in range(8))),
        outcome("版本" * 40),
        outcome(id="x", reason=f"goes with its index {digest('index')}"),
        outcome("1.2", "x" * 128, action="untag", remove=["1.2"]),
        stays=(stay("y" * 128, reason="in use by kubernetes: prod"),),
        width=width,
        verbose=True,
    )
    images = lines[: lines.index("")]
    wide = [sum(1 + (ord(each) > 0x2E80) for each in line) for line in images]
    assert max(wide) <= width


@pytest.mark.parametrize("width", [60, 120])
def test_a_digest_in_a_reason_is_shortened_rather_than_broken(width: int) -> None:
    text = "\n".join(shown(report(), outcome(id="x", reason=f"goes with {digest('index')}"), width=width))
    assert digest("index")[:19] in text
    assert digest("index")[:20] not in text


def test_text_for_no_terminal_keeps_its_digests() -> None:
    assert digest("index") in "\n".join(
        shown(report(), outcome(id="x", reason=f"goes with {digest('index')}"))
    )


def test_colours_are_for_those_who_have_them() -> None:
    plain = shown(report(), outcome("t"), width=120)
    colored = shown(report(), outcome("t"), width=120, color=True)
    assert not any("\x1b" in line for line in plain)
    assert any("\x1b[" in line for line in colored)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in colored] == plain
