"""The HTML report in the real Chromium: it shows text as text, asks nobody, and fits its window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from janitor.core.report import ErrorReport, Unselected, UseReport, UseSource
from janitor.reports.html import render
from tests.peers.chromium import Browser, Page, browsing
from tests.reports.ledger import outcome, report, repository

pytestmark = pytest.mark.peer("chromium")

EVIL = '"><script>alert(1)</script>'
LONG = "a-name-without-any-place-to-break-it/" * 6


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with all of its parts, and what somebody evil would push."""
    shown = report(
        repository("app", planned=40),
        repository(LONG, planned=3, state="limited"),
        repository(EVIL, planned=1),
        policies=("policy.yaml",),
        errors=(ErrorReport(registry="prod", repository=EVIL, code="x", message=f"{EVIL} {LONG}"),),
        unselected=(Unselected(pattern=EVIL, images=3),),
        in_use=UseReport(sources=(UseSource(source="url", error=EVIL),), not_found=(LONG,)),
    )
    outcomes = [outcome(f"pr-{number}", repository="app", pushed=f"{9 * number}d") for number in range(40)]
    outcomes += [outcome(LONG, repository=LONG, detail="over 80 %") for _ in range(3)]
    outcomes.append(outcome(EVIL, repository=EVIL, reason=EVIL, rules=[EVIL]))
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text("".join(render(shown, outcomes)))
    return path.as_uri()


@pytest.fixture
def page(browser: Browser) -> Page:
    return browser.page()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_it_fits_its_window_complains_of_nothing_and_asks_nobody(
    page: Page, address: str, theme: str, width: int
) -> None:
    page.open(address, width=width, theme=theme)
    page.value("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert page.value("document.documentElement.scrollWidth") == width
    assert page.complaints == []
    assert page.asked == [address]


def test_a_tag_that_is_a_script_is_shown_as_text(page: Page, address: str) -> None:
    page.open(address)
    assert page.value("document.scripts.length") == 0
    shown = page.value("[...document.querySelectorAll('bdi')].map(each => each.textContent)")
    assert shown.count(EVIL) == 3  # the tag, the rule, what no rule selects
    assert page.complaints == []


def test_a_script_that_slipped_through_could_not_act(page: Page, address: str, tmp_path: Path) -> None:
    text = Path(address.removeprefix("file://")).read_text()
    spoiled = tmp_path / "spoiled.html"
    spoiled.write_text(
        text.replace("<main>", "<main><script>window.acted = 1</script><img src='http://127.0.0.1:1/x'>")
    )
    page.open(spoiled.as_uri())
    assert page.value("window.acted") is None
    assert sum("Content Security Policy" in each for each in page.complaints) == 2


def test_the_two_themes_are_told_apart_and_can_be_read(page: Page, address: str) -> None:
    seen = {}
    for theme in ("light", "dark"):
        page.open(address, theme=theme)
        seen[theme] = {
            where: page.value(CONTRAST % where)
            for where in (".lead", ".soft", "bdi", ".tile span", ".grid .why", "svg text", ".card.bad li")
        }
        assert min(seen[theme].values()) >= 4.5, seen  # what WCAG 2 asks of text (AA)
    grounds = []
    for theme in ("light", "dark"):
        page.open(address, theme=theme)
        grounds.append(page.value("getComputedStyle(document.body).backgroundColor"))
    assert len(set(grounds)) == 2


def test_bars_are_as_long_as_what_they_say(page: Page, address: str) -> None:
    page.open(address)
    widths = page.value(
        "[...document.querySelectorAll('.bars')[0].querySelectorAll('.fill-go')]"
        ".map(each => each.getBoundingClientRect().width)"
    )
    assert widths[0] == pytest.approx(40 * widths[1], rel=0.05)


def test_a_picture_of_it_can_be_taken(page: Page, address: str, tmp_path: Path) -> None:
    for theme in ("light", "dark"):
        page.open(address, theme=theme)
        page.shoot(tmp_path / f"{theme}.png")
    pictures = [path.read_bytes() for path in tmp_path.glob("*.png")]
    assert pictures[0] != pictures[1]


# The contrast between the colour of a text and what it stands on.
CONTRAST = """(() => {
  const light = colour => {
    const parts = colour.match(/[0-9.]+/g).slice(0, 3).map(each => each / 255)
      .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const it = document.querySelector('%s');
  let ground = it;
  while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
  const style = getComputedStyle(it);
  const ink = it instanceof SVGElement ? style.fill : style.color;
  const [a, b] = [light(ink), light(getComputedStyle(ground).backgroundColor)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
})()"""
