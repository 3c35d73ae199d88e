from __future__ import annotations

import re

import pytest

from janitor.core.report import ErrorReport, Outcome, Report, Totals, Unselected, UseReport, UseSource
from janitor.reports.markdown import MOST_BYTES, render
from tests.reports.ledger import outcome, report, repository

EVIL = (
    '"><script>alert(1)</script>|`@octocat` [x](http://evil.example) www.evil.example #1 $x$ **b** <!-- \n# h'
)


def page(shown: Report, *outcomes: Outcome) -> str:
    return "".join(render(shown, outcomes))


def visible(text: str) -> str:
    """What a page shows of its code: entities as the characters that they are."""
    return re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), text)


def test_it_says_first_what_would_go_and_that_nothing_did() -> None:
    text = page(report(repository(planned=2)), outcome("a"), outcome("b", size=None))
    assert "# Registry clean-up: dry run" in text
    assert "**Would delete 2 of 10 images in 1 repository, 1.0 MiB at most**" in text
    assert "Nothing was deleted." in text


def test_a_run_that_deleted_says_so() -> None:
    shown = report(repository(planned=1, deleted=1), mode="delete", exit_code=1)
    text = page(
        shown, outcome("a", kind="deleted"), outcome("b", kind="failed"), outcome("c", kind="refused")
    )
    assert "# Registry clean-up: deletion" in text
    assert "Something failed; the rest was done." in text
    assert "**Deleted 1 of 10 images" in text
    assert "Nothing was deleted" not in text
    assert "- 1 image failed\n- 1 image refused by the registry\n" in text


def test_what_is_stopped_would_not_go_and_says_why() -> None:
    shown = report(repository("a", planned=1, state="limited"), repository("b", planned=1), exit_code=3)
    text = page(
        shown, outcome("x", repository="a", detail="90 % are over 80 %"), outcome("y", repository="b")
    )
    assert "**Would delete 1 of 20 images" in text
    assert "- 1 image stopped" in text
    row = next(line for line in text.splitlines() if "prod/a" in line and line.startswith("|"))
    assert "**stopped** 90 % are over 80 %" in row


def test_each_rule_is_summed_up_and_an_image_counts_for_all_of_its_rules() -> None:
    text = page(report(), outcome("a", rules=["p/old", "p/big"]), outcome("b", rules=["p/old"]))
    assert "| <code>p/old</code> | 2 | 2.0 MiB |" in text
    assert "| <code>p/big</code> | 1 | 1.0 MiB |" in text


def test_errors_use_and_what_no_rule_selects_are_told() -> None:
    shown = report(
        errors=(ErrorReport(registry="prod", code="denied", message="403 for you"),),
        unselected=(Unselected(pattern="sha-*", images=1190),),
        in_use=UseReport(
            sources=(UseSource(source="file: x", references=2), UseSource(source="url", error="no answer")),
            not_found=("ghcr.io/a/b:1",),
        ),
    )
    text = visible(page(shown))
    assert "- <code>prod</code>: 403 for you" in text
    assert "| <code>sha-*</code> | 1,190 |" in text
    assert "- <code>file: x</code>: 2 references" in text
    assert "- <code>url</code>: **not read**: no answer" in text
    assert "<code>ghcr.io/a/b:1</code> is in use, but was not found" in text


def test_nothing_from_a_registry_is_markup_a_link_or_a_mention() -> None:
    shown = report(
        repository(EVIL, planned=2, state="limited"),
        errors=(ErrorReport(registry=EVIL, repository=EVIL, code="x", message=EVIL),),
        unselected=(Unselected(pattern=EVIL, images=1),),
        in_use=UseReport(sources=(UseSource(source=EVIL, error=EVIL),), not_found=(EVIL,)),
    )
    text = page(shown, outcome(EVIL, repository=EVIL, reason=EVIL, detail=EVIL, rules=[EVIL]))
    tags = set(re.findall(r"<[^>]*>", text))
    assert tags == {"<code>", "</code>", "<details>", "<summary>", "</summary>", "</details>"}
    for evil in ("@octocat", "](", "://evil", "www.", "`@", "$x", "<!--", "\n# h", "#1 ", "**b"):
        assert evil not in text
    assert "www.evil.example" in visible(text)
    cells = {line.count("|") for line in text.splitlines() if line.startswith("| <code>")}
    assert cells == {8, 6, 3, 5}  # repositories, rules, patterns, images: no cell more


def test_control_characters_are_shown_and_not_sent() -> None:
    text = page(report(), outcome("a\x1b[2Jb\u202e", reason="x\x07"))
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "\\x1b" in visible(text)


def test_a_small_report_leaves_nothing_out() -> None:
    assert "Left out" not in page(report(repository(planned=1)), outcome("a"))


@pytest.mark.parametrize("length", [1, 120, 5000])
def test_it_fits_a_step_summary_whatever_the_size_of_the_plan(length: int) -> None:
    repositories = [
        repository(f"{number}/{'|' * length}", planned=20) for number in range(1500 if length == 1 else 400)
    ]
    shown = report(
        *repositories,
        run_id="r" * 10_000,
        errors=tuple(
            ErrorReport(registry="prod", repository=f"{n}", code="x", message="&" * length)
            for n in range(500)
        ),
        unselected=tuple(Unselected(pattern=f"{n}{'版' * length}", images=1) for n in range(500)),
        in_use=UseReport(not_found=tuple(f"{n}{'@' * length}" for n in range(500))),
    )
    outcomes = (
        outcome(f"{number}{'🚀' * length}", "|" * length, repository=one.repository, reason="| " * length)
        for one in repositories
        for number in range(3)
    )
    text = "".join(render(shown, outcomes))
    assert 10_000 < len(text.encode()) < MOST_BYTES
    left = re.search(r"\*Left out here: (.*)\. The `\.jsonl` report has everything\.\*\n$", text)
    assert left is not None
    assert "images" in left[1]


def test_what_is_shown_and_what_is_left_out_add_up() -> None:
    held = [repository(f"r{number}", planned=30) for number in range(100)]
    outcomes = [outcome(f"t{n}", repository=one.repository) for one in held for n in range(30)]
    text = page(report(*held), *outcomes)
    shown = sum(line.startswith("| <code>t") for line in text.splitlines())
    (left,) = re.findall(r"Left out here: ([\d,]+) images", text)
    assert shown + int(left.replace(",", "")) == 3000


def test_what_was_not_done_is_shown_though_more_went_well() -> None:
    held = [repository(f"r{number}", planned=50) for number in range(60)]
    well = (outcome(f"t{n}", repository=one.repository, kind="deleted") for one in held for n in range(50))
    bad = outcome("bad", repository="r59", kind="failed", detail="HTTP 500")
    text = "".join(render(report(*held, mode="delete"), [*well, bad]))
    assert "HTTP 500" in text


def test_a_report_saved_without_its_images_is_told_by_its_counts() -> None:
    shown = report(
        repository("a", planned=4, remaining=7),
        repository("b", planned=2, state="limited"),
        totals=Totals(repositories=2, images=20, planned=6, planned_bytes=2**30),
    )
    text = page(shown)
    assert "**Would delete 3 of 20 images in 2 repositories, 1.0 GiB at most**" in text
    assert "2 images stopped" in text
    assert "a .json report doesn't hold" in text
