"""Runs that tell of themselves: who hears of which, and that nothing a webhook does changes a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from janitor.errors import FileError
from janitor.files.reportfile import read_report
from janitor.files.statefolder import StateFolder
from tests.cli.house import janitor
from tests.conformance.layout_stage import write_layout
from tests.journeys.site import Ran, Site
from tests.simulators.server import Answer
from tests.simulators.webhook import Webhook, parts
from tests.simulators.world import World

EVIL = '"><script><!channel>'


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        yield server


def policies(site: Site, *on: str, form: str = "json", **more: Any) -> None:
    """A repository with a release and two old pull requests."""
    world = World()
    for tag, age in (("1.0.0", "90d"), ("pr-1", "60d"), ("pr-2", "40d")):
        world.push("app", tags=[tag], created=age)
    for name, repository in world.repositories.items():
        write_layout(site.folder / "layouts" / name, repository, world)
    entry = {"webhook": "${HOOK}", "format": form, "on": list(on or ("always",))}
    site.policies({"prod": {"provider": "oci-layout", "path": "layouts"}}, notify=[entry], **more)


@pytest.fixture(autouse=True)
def address(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", webhook.url)


def test_a_run_that_deletes_tells_of_it(site: Site, webhook: Webhook) -> None:
    policies(site, "deletion")
    site.run()
    assert webhook.messages == []
    ran = site.run(delete=True)
    (message,) = webhook.messages
    assert message["run_id"] == ran.report.run_id
    assert message["totals"]["deleted"] == 2
    site.run(delete=True)  # nothing is left to delete
    assert len(webhook.messages) == 1


def test_a_dry_run_tells_those_who_always_want_to_know(site: Site, webhook: Webhook) -> None:
    policies(site, form="slack")
    site.run()
    (message,) = webhook.messages
    assert message["text"].startswith("Registry clean-up: dry run: Would delete 2 of 3 images")


def test_a_run_that_a_limit_stopped_tells_of_it(site: Site, webhook: Webhook) -> None:
    policies(site, "limit", limits={"max_deletions": 1})
    assert site.run(delete=True).exit_code == 3
    assert [message["limited"] for message in webhook.messages] == [["prod/app"]]


def without_message(ran: Ran) -> tuple[Any, ...]:
    kinds = [(each.action.digest, each.outcome) for each in ran.outcomes]
    return ran.exit_code, ran.report.totals, kinds


@pytest.mark.parametrize(
    "answer", [Answer(status=404, body=b"no_service"), Answer(status=302), Answer(status=403)]
)
@pytest.mark.parametrize("form", ["json", "slack", "teams"])
def test_a_webhook_that_fails_changes_nothing_but_a_line_of_the_report(
    site: Site, webhook: Webhook, answer: Answer, form: str
) -> None:
    policies(site, form=form)
    good = site.run()
    webhook.answers = [answer]
    files = [str(site.folder / f"report{suffix}") for suffix in (".json", ".jsonl", ".html", ".xml", ".md")]
    ran = site.run(reports=tuple(files))
    assert without_message(ran) == without_message(good)
    (error,) = ran.report.errors
    assert error.code == "notify"
    assert "policies.yaml:" in error.message
    assert read_report(Path(files[0])).report == read_report(Path(files[1])).report == ran.report
    written = "".join(Path(path).read_text() for path in files)
    assert [part for part in parts(webhook.url) if part in written] == []


def test_a_report_that_says_so_is_written_for_a_deletion_too(site: Site, webhook: Webhook) -> None:
    policies(site)
    webhook.answers = [Answer(status=404)]
    ran = site.run(delete=True, state_dir=str(site.folder / "state"))
    kept = read_report(site.folder / "state" / "runs" / ran.report.run_id / "report.jsonl")
    assert kept.report == ran.report
    assert [error.code for error in kept.report.errors] == ["notify"]
    assert ran.exit_code == 0


def test_a_run_that_ends_without_a_report_is_told_of_as_a_failure(site: Site, webhook: Webhook) -> None:
    policies(site, "failure")
    folder = site.folder / "state"
    with StateFolder.hold(folder, "other-run", None), pytest.raises(FileError):
        site.run(delete=True, state_dir=str(folder))
    (message,) = webhook.messages
    assert message["exit_code"] == 1
    assert "other-run" in message["errors"][0]["message"]


def test_a_command_line_shows_who_could_not_be_told_and_never_the_address(
    site: Site, webhook: Webhook
) -> None:
    policies(site)
    webhook.answers = [Answer(status=410, body=webhook.url.encode())]
    path = site.folder / "report.json"
    done = janitor(
        "run", str(site.folder / "policies.yaml"), "-v", "--log-format", "json", "--report", str(path)
    )
    assert done.returncode == 0, done.stderr
    assert "error: " in done.stdout
    assert "(json) was not told" in done.stdout
    written = done.stdout + done.stderr + path.read_text()
    assert [part for part in parts(webhook.url) if part in written] == []
    assert json.loads(path.read_text())["exit_code"] == 0
