from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from janitor.core.report import (
    ErrorReport,
    Outcome,
    RegistryReport,
    Report,
    Totals,
    Unselected,
    UseReport,
    UseSource,
)
from janitor.reports.html import render
from tests.reports.ledger import outcome, report, repository

EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'&lt;"
VOID = {"meta", "wbr"}


class Read(HTMLParser):
    """A page as a browser takes it: its tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(shown: Report, *outcomes: Outcome) -> Read:
    return Read("".join(render(shown, outcomes)))


def test_it_says_first_what_would_go_and_that_nothing_did() -> None:
    text = page(report(repository(planned=2)), outcome("a"), outcome("b", size=None)).text
    assert "dry run: nothing was deleted" in text
    assert "Would delete 2 of 10 images in 1 repository, 1.0 MiB at most." in text
    assert "Nothing failed, and nothing was stopped" in text
    assert "1.0 MiB + ?" in text


def test_a_run_that_deleted_says_what_became_of_each() -> None:
    shown = report(repository(planned=4, deleted=1), mode="delete", exit_code=1)
    kinds = ("deleted", "failed", "refused", "skipped")
    text = page(shown, *(outcome(kind, kind=kind, detail=f"why {kind}") for kind in kinds)).text
    assert "Deleted 1 of 10 images" in text
    assert "nothing was deleted" not in text
    for said in (
        "1failed",
        "1refused by the registry",
        "1skipped",
        "why failed",
        "why refused",
        "why skipped",
    ):
        assert said in text


def test_it_is_one_file_that_may_load_and_run_nothing() -> None:
    text = "".join(render(report(repository(planned=1)), [outcome("a")]))
    read = Read(text)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policies = [each["content"] for each in read.all("meta") if each.get("http-equiv")]
    assert policies == [
        f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'"
    ]
    assert text.index("Content-Security-Policy") < text.index("<style>")
    tags = {tag for tag, _ in read.tags}
    assert tags & {"script", "link", "img", "iframe", "object", "embed", "form", "a", "base"} == set()
    names = {name for _, attributes in read.tags for name in attributes}
    assert not any(name.startswith("on") or name in {"src", "href", "style", "action"} for name in names)
    assert "url(" not in style
    assert "@import" not in style


def test_nothing_from_outside_is_markup() -> None:
    shown = report(
        repository(EVIL, planned=2, state="limited"),
        repository(f"{EVIL}2", planned=1, registry=EVIL),
        mode=EVIL,
        run_id=EVIL,
        policies=(EVIL,),
        registries=(RegistryReport(name=EVIL, provider=EVIL),),
        errors=(ErrorReport(registry=EVIL, repository=EVIL, code=EVIL, message=EVIL),),
        unselected=(Unselected(pattern=EVIL, images=1),),
        in_use=UseReport(sources=(UseSource(source=EVIL, error=EVIL),), not_found=(EVIL,)),
    )
    told = (
        outcome(EVIL, repository=EVIL, reason=EVIL, detail=EVIL, rules=[EVIL]),
        outcome(EVIL, EVIL, repository=EVIL, kind="failed", detail=EVIL, action="untag", remove=[EVIL]),
        outcome("x", repository=f"{EVIL}2", registry=EVIL, rules=[EVIL]),
    )
    read = page(shown, *told)
    plain = page(report(repository(planned=2, state="limited")), outcome("x", detail="y"))
    assert {tag for tag, _ in read.tags} <= {tag for tag, _ in plain.tags} | {"ul", "li"}
    assert read.text.count(EVIL) > 12


def test_control_characters_are_shown_and_not_sent() -> None:
    text = "".join(render(report(), [outcome("a\x1b[2Jb\u202e", reason="x\x07")]))
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "\\x1b" in text


def test_what_is_stopped_is_no_part_of_what_would_go() -> None:
    shown = report(repository("a", planned=1, state="limited"), repository("b", planned=1), exit_code=3)
    text = page(
        shown, outcome("x", repository="a", detail="90 % are over 80 %"), outcome("y", repository="b")
    ).text
    assert "Would delete 1 of 20 images" in text
    assert "stopped: 90 % are over 80 %" in text
    assert "A limit, the deadline or an unreadable source stopped something" in text


def test_the_charts_have_a_bar_for_each_and_one_for_the_rest() -> None:
    held = [repository(f"r{number:02}", planned=1) for number in range(40)]
    outcomes = [
        outcome(f"t{n}", repository=f"r{n:02}", rules=[f"p/{n}"], size=(40 - n) * 2**20) for n in range(40)
    ]
    text = "".join(render(report(*held), outcomes))
    freed, rules = re.findall(r'<table class="bars">(.*?)</table>', text, re.DOTALL)
    assert freed.count("<tr>") == rules.count("<tr>") == 13
    assert freed.index("r00") < freed.index("r11") < freed.index("28 other repositories")
    assert "28 other rules" in rules
    assert "406.0 MiB" in freed  # 1 + 2 + … + 28


def test_ages_are_told_of_what_goes_and_of_what_stays_after_all() -> None:
    outcomes = [
        outcome("a", pushed="6d"),
        outcome("b", pushed="7d"),
        outcome("c", pushed="400d", kind="skipped"),
        outcome("d", pushed=None),
    ]
    (chart,) = [each for each in page(report(), *outcomes).all("svg") if each.get("role") == "img"]
    assert chart["aria-label"] == "Images by age. <7d: 1, <14d: 1, <2y: 1, ?: 1"


def test_where_no_push_is_recorded_there_is_no_chart_of_ages() -> None:
    assert "Ages" not in page(report(), outcome("a", pushed=None)).text


def test_a_rule_that_the_reason_names_is_not_told_twice() -> None:
    text = page(
        report(), outcome("a", rules=["p/old"], reason="p/old (policy.yaml:3): delete; 400 days old")
    ).text
    other = page(report(), outcome("a", rules=["p/old"], reason="goes with another")).text
    assert text.count("p/old") == other.count("p/old") == 2  # in the chart of rules, and at the image


def test_errors_that_change_no_exit_code_stand_apart() -> None:
    shown = report(
        errors=(
            ErrorReport(registry="prod", code="denied", message="403"),
            ErrorReport(code="notify", message="policy.yaml:3: no answer"),
        )
    )
    text = page(shown).text
    assert text.index("Errors") < text.index("prod: 403") < text.index("Nobody could be told")
    assert text.index("Nobody could be told") < text.index("policy.yaml:3: no answer")


def test_a_report_saved_without_its_images_is_told_by_its_counts() -> None:
    shown = report(
        repository("a", planned=4, remaining=7),
        repository("b", planned=2, state="limited"),
        totals=Totals(repositories=2, images=20, planned=6, planned_bytes=2**30),
    )
    text = page(shown).text
    assert "Would delete 3 of 20 images in 2 repositories, 1.0 GiB at most" in text
    assert "2stopped" in text
    assert "made from a .json report" in text


def test_an_empty_run_is_a_page_too() -> None:
    read = page(report(totals=Totals()))
    assert "Would delete 0 of 0 images" in read.text


@pytest.mark.parametrize(
    ("repositories", "each", "length"), [(500, 200, 8), (20_000, 5, 40), (50, 2000, 128)]
)
def test_a_hundred_thousand_images_fit_two_million_bytes(repositories: int, each: int, length: int) -> None:
    held = [repository(f"team/{number}/{'&' * length}", planned=each) for number in range(repositories)]
    shown = report(
        *held,
        errors=tuple(
            ErrorReport(registry="p", repository=f"{n}", code="x", message="<" * 900) for n in range(900)
        ),
    )
    outcomes = (
        outcome("<" * length, "&" * length, ">" * length, id="one", repository=one.repository)
        for one in held
        for _ in range(each)
    )
    size = sum(len(piece.encode()) for piece in render(shown, outcomes))
    assert 50_000 < size < 2_000_000


def test_what_is_shown_and_what_is_left_out_add_up() -> None:
    held = [repository(f"r{number}", planned=30) for number in range(100)]
    outcomes = [outcome(f"t{n}", repository=one.repository) for one in held for n in range(30)]
    text = "".join(render(report(*held), outcomes))
    (left,) = re.findall(r"Left out here: ([\d,]+) images", text)
    assert text.count("<tr><td><bdi>t") + int(left.replace(",", "")) == 3000
