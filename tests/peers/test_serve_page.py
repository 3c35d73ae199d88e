"""The daemon's pages in the real Chromium: runs are opened, text is text, nobody else is asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from janitor.core.report import ErrorReport, Totals
from janitor.core.units import parse_duration
from janitor.kinds import kinds
from janitor.policyfile import load
from janitor.reports import jsonlreport
from janitor.serve.board import Board, Running, Standing
from janitor.serve.history import Entry, History
from janitor.serve.schedules import planned
from janitor.serve.web import Web, hosts_of, serving
from tests.instant import NOW
from tests.journeys.inprocess import Clock
from tests.peers.chromium import Browser, Page, browsing
from tests.peers.test_html_report import CONTRAST, EVIL
from tests.reports.ledger import outcome, report, repository

pytestmark = pytest.mark.peer("chromium")

NIGHTLY, HOURLY = "15 3 * * * Europe/Berlin", f"0 * * * * UTC repository:ci/** repository:{EVIL}"
POLICIES = f"""
version: 1
registries: {{prod: {{provider: oci, endpoint: "https://registry.example.com"}}}}
schedules:
  - {{cron: "15 3 * * *", timezone: Europe/Berlin}}
  - {{cron: "0 * * * *", repositories: ["ci/**", '{EVIL}']}}
  - {{cron: "30 4 * * 0", timezone: America/New_York, registries: [prod]}}
policies:
  - {{name: cleanup, registries: "*", repositories: "**", rules: [{{delete: {{untagged: true}}}}]}}
"""


class Site:
    """A daemon's board and history, without the daemon."""

    def __init__(self, folder: Path) -> None:
        path = folder / "policies.yaml"
        path.write_text(POLICIES)
        policies = load([path], {}, kinds())
        self.folder = folder
        self.history = History(folder / "state")
        self.board = Board(
            Standing(
                delete=True,
                files=("policies/services.yaml", "policies/ci.yaml"),
                schedules=planned(policies),
                loaded_at=NOW - timedelta(days=3),
                beat=NOW,
            )
        )
        self.web = Web(self.board, self.history, Clock(NOW + timedelta(minutes=12)), hosts_of("127.0.0.1"))

    def ran(self, ago: str, schedule: str | None, exit_code: int | None = 0, **fields: object) -> str:
        """Write down a run; the report of one that ended well has a tag that is a script."""
        started = NOW - parse_duration(ago)
        run_id = f"{started:%Y%m%dT%H%M%SZ}-{len(self.history.entries()):06x}"
        entry = Entry(
            run_id=run_id,
            mode="delete",
            started_at=started,
            schedule=schedule,
            finished_at=None if exit_code is None else started + timedelta(minutes=4, seconds=11),
            exit_code=exit_code,
            **fields,  # type: ignore[arg-type]  # of Entry
        )
        self.history.write(entry)
        if exit_code in {0, 3}:
            shown = report(
                repository("app", planned=40, deleted=40),
                repository(EVIL, planned=1),
                run_id=run_id,
                mode="delete",
                started_at=started,
                finished_at=entry.finished_at,
                exit_code=exit_code,
                totals=Totals(
                    repositories=182, images=48_210, planned=1204, deleted=1204, deleted_bytes=2**37
                ),
                errors=(ErrorReport(registry="prod", repository=EVIL, code="x", message=EVIL),),
            )
            lines = jsonlreport.render(shown, [outcome(EVIL, repository=EVIL, reason=EVIL, rules=[EVIL])])
            (self.folder / "state" / "runs" / run_id / "report.jsonl").write_text("".join(lines))
        return run_id


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Page:
    return browser.page()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    for hours in range(1, 6):
        made.ran(f"{hours}h", HOURLY)
    made.ran("7h", NIGHTLY, 3)
    made.ran("30h", HOURLY, 1, error=f"the state folder was in use, lately by {EVIL}")
    made.ran("31h", None, 0)
    made.ran("32h", HOURLY, None)
    made.ran("33h", NIGHTLY, 143)
    return made


@pytest.fixture
def address(site: Site) -> Iterator[str]:
    with serving(site.web, "127.0.0.1", 0) as (host, port):
        yield f"http://{host}:{port}"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_it_fits_its_window_complains_of_nothing_and_asks_nobody_else(
    page: Page, site: Site, address: str, theme: str, width: int
) -> None:
    site.board.show(trouble=f"policies/ci.yaml:3:1: no key {EVIL}\n  {'x' * 300}", trouble_at=NOW)
    page.open(address, width=width, theme=theme)
    assert page.value("document.documentElement.scrollWidth") == width
    assert page.complaints == []
    assert {each for each in page.asked if not each.endswith("/favicon.ico")} == {f"{address}/"}


def test_a_run_is_opened_and_its_tag_that_is_a_script_is_text(page: Page, address: str) -> None:
    page.open(address)
    assert page.value("document.scripts.length") == 0
    where = page.value("document.querySelector('.runs a').href")
    page.value("document.querySelector('.runs a').click()")
    page.open(where)
    assert page.value("document.querySelector('h1').textContent") == "Registry clean-up"
    assert page.value("document.scripts.length") == 0
    assert EVIL in page.value("[...document.querySelectorAll('bdi')].map(each => each.textContent)")
    assert page.complaints == []
    assert all(each.startswith(f"{address}/") for each in page.asked)


def test_a_run_without_a_report_says_why(page: Page, site: Site, address: str) -> None:
    (failed,) = [entry.run_id for entry in site.history.entries() if entry.error]
    page.open(f"{address}/runs/{failed}")
    assert EVIL in page.value("document.querySelector('.card.bad pre').textContent")
    assert page.complaints == []


def test_the_two_themes_are_told_apart_and_can_be_read(page: Page, site: Site, address: str) -> None:
    site.board.show(trouble="a key is wrong", trouble_at=NOW)
    grounds = []
    for theme in ("light", "dark"):
        page.open(address, theme=theme)
        seen = {
            where: page.value(CONTRAST % where)
            for where in (".verdict", ".soft", "bdi", ".runs a", ".card.bad pre", "footer a", ".badge")
        }
        assert min(seen.values()) >= 4.5, seen  # what WCAG 2 asks of text (AA)
        grounds.append(page.value("getComputedStyle(document.body).backgroundColor"))
    assert len(set(grounds)) == 2


def test_a_picture_of_it_can_be_taken(page: Page, site: Site, address: str, tmp_path: Path) -> None:
    site.board.show(
        running=Running(
            run_id="x", schedule=NIGHTLY, started_at=NOW, stage="listing: 12 of 182 repositories"
        ),
        trouble=f"policies/ci.yaml:3:1: no key {EVIL}\n  bogus: 1\n  ^",
        trouble_at=NOW,
    )
    for theme in ("light", "dark"):
        page.open(address, theme=theme)
        page.shoot(tmp_path / f"{theme}.png")
    pictures = [path.read_bytes() for path in tmp_path.glob("*.png")]
    assert pictures[0] != pictures[1]
