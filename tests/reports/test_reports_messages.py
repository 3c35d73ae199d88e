from __future__ import annotations

import json
import re
from typing import Any

import pytest

from janitor.core.report import ErrorReport, Report, Totals, UseReport, UseSource
from janitor.policyfile.keys import NOTIFY
from janitor.reports.messages import FORMS, message
from tests.reports.ledger import report, repository

EVIL = '<!channel> <@U123> <http://evil.example|click> `x` *b* "><script> [a](http://evil.example) @here'

FULL = report(
    repository("a", images=10, planned=4, deleted=2, failed=1, refused=1, remaining=8),
    repository("b", images=10, planned=3, skipped=3, state="limited"),
    mode="delete",
    exit_code=1,
    totals=Totals(
        repositories=2, images=20, planned=7, deleted=2, failed=1, refused=1, skipped=3, deleted_bytes=2**20
    ),
    errors=(ErrorReport(registry="prod", repository="c", code="denied", message="403 for you"),),
    in_use=UseReport(sources=(UseSource(source="url: x", error="no answer"),)),
)


def sent(shown: Report, form: str) -> Any:
    return json.loads(message(shown, form))


def texts(value: Any) -> list[str]:
    """Every text in a document."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for each in value for text in texts(each)] if isinstance(value, list) else []


def hostile(length: int) -> Report:
    """A run in which everything is long, went wrong, and is called by somebody evil."""
    name = (EVIL * (length // len(EVIL) + 1))[:length]
    return report(
        *(repository(f"{n}{name}", planned=9, failed=2, state="limited") for n in range(500)),
        run_id=name,
        exit_code=1,
        errors=tuple(
            ErrorReport(registry="p", repository=f"{n}{name}", code="x", message=name) for n in range(500)
        ),
        in_use=UseReport(sources=(UseSource(source=name, error=name),)),
    )


def test_the_forms_are_those_of_the_policy_language() -> None:
    assert tuple(FORMS) == NOTIFY["format"].choices


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_how_much_went_and_what_went_wrong(form: str) -> None:
    said = "\n".join(texts(sent(FULL, form)))
    assert "Deleted 2 of 20 images in 2 repositories, 1.0 MiB at most" in said
    assert "403 for you" in said
    assert FULL.run_id in said


@pytest.mark.parametrize("form", ["slack", "teams"])
def test_people_are_told_what_was_stopped_what_failed_and_what_could_not_be_read(form: str) -> None:
    said = "\n".join(texts(sent(FULL, form)))
    for words in ("1 image failed", "stopped, 3 images planned", "not read, so nothing may go: no answer"):
        assert words in said


@pytest.mark.parametrize("form", ["slack", "teams"])
def test_a_dry_run_does_not_look_like_a_deletion(form: str) -> None:
    said = "\n".join(texts(sent(report(repository(planned=3, remaining=7)), form)))
    assert "dry run" in said
    assert "Would delete 3 of 10 images" in said
    assert "Deleted" not in said


def test_json_has_the_fields_of_the_report_and_counts_what_it_leaves_out() -> None:
    document = sent(FULL, "json")
    assert document["kind"] == "run"
    assert document["totals"] == json.loads(
        json.dumps({n: getattr(FULL.totals, n) for n in document["totals"]})
    )
    assert (document["mode"], document["exit_code"]) == ("delete", 1)
    assert document["limited"] == ["prod/b"]
    assert document["errors"] == [
        {"registry": "prod", "repository": "c", "code": "denied", "message": "403 for you"}
    ]
    many = sent(hostile(40), "json")
    assert (len(many["errors"]), many["errors_more"], len(many["limited"]), many["limited_more"]) == (
        50,
        450,
        50,
        450,
    )


def test_no_text_for_slack_can_ping_link_or_be_markup() -> None:
    document = sent(hostile(100), "slack")
    said = texts(document)
    assert not any(mark in text for text in said for mark in "<>")
    assert any("&lt;!channel&gt;" in text for text in said)
    objects = [each for block in document["blocks"] for each in objects_of(block)]
    assert {each["type"] for each in objects} == {"plain_text", "mrkdwn"}
    assert all(each["verbatim"] for each in objects if each["type"] == "mrkdwn")
    for text in said:  # a name can't end the code that it stands in
        assert text.count("`") % 2 == 0 or not text.startswith("•")
    assert (document["unfurl_links"], document["unfurl_media"]) == (False, False)


def objects_of(block: dict[str, Any]) -> list[dict[str, Any]]:
    found = [*block.get("fields", ()), *block.get("elements", ())]
    return [*found, block["text"]] if "text" in block else found


@pytest.mark.parametrize("length", [10, 100, 5000])
def test_slack_gets_no_more_than_it_takes(length: int) -> None:
    document = sent(hostile(length), "slack")
    assert len(document["blocks"]) <= 50
    for block in document["blocks"]:
        limit = {"header": 150}.get(block["type"], 3000)
        assert all(len(each["text"]) <= limit for each in objects_of(block))
        assert len(block.get("fields", ())) <= 10
    assert sum(map(len, texts(document["blocks"]))) < 10_000
    assert len(document["text"]) < 4000
    (points,) = [b["text"]["text"] for b in document["blocks"] if "•" in json.dumps(b, ensure_ascii=False)]
    shown = points.count("\n")
    assert re.search(rf"and {1501 - shown:,} more$", points)


def test_what_comes_from_outside_stands_for_teams_where_markdown_means_nothing() -> None:
    (attachment,) = sent(hostile(100), "teams")["attachments"]
    card = attachment["content"]
    for block in card["body"]:
        if block["type"] == "TextBlock":
            assert not set(block["text"]) & set("<>[]*`@")
        if block["type"] == "FactSet":
            assert all(not set(text) & set("<>[]*`@") for text in texts(block))
    runs = [run for block in card["body"] for run in block.get("inlines", ())]
    assert {run["type"] for run in runs} == {"TextRun"}
    assert any("<!channel>" in run["text"] for run in runs)


def test_teams_gets_an_adaptive_card_as_workflows_take_it() -> None:
    document = sent(FULL, "teams")
    assert document["type"] == "message"
    (attachment,) = document["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert {block["type"] for block in card["body"]} == {"TextBlock", "RichTextBlock", "FactSet"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("letter", ["a", "<", "版", "🚀", '"', "\x00"])
def test_no_message_is_larger_than_28_kb_or_a_little_for_programs(form: str, letter: str) -> None:
    long = letter * 3000
    shown = report(
        *(repository(f"{n}{long}", planned=9, failed=2, state="limited") for n in range(200)),
        exit_code=1,
        errors=tuple(
            ErrorReport(registry=long, repository=long, code="x", message=f"{n}{long}") for n in range(200)
        ),
    )
    assert len(message(shown, form)) < (200_000 if form == "json" else 28_000)
