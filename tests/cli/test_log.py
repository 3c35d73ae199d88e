from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from janitor import log
from janitor.redaction import GONE, redact


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_an_event_is_a_line_of_json_with_its_time_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure()
    log.get_logger().info("registry.listed", registry="prod", images=3, reached=None, took=1.5)
    (event,) = logged(capsys)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "registry.listed",
        "level": "info",
        "registry": "prod",
        "images": 3,
        "reached": None,
        "took": 1.5,
    }


@pytest.mark.parametrize(
    ("options", "levels"),
    [
        ({}, ["info", "warning", "error"]),
        ({"verbose": True}, ["debug", "info", "warning", "error"]),
        ({"quiet": True}, ["error"]),
    ],
)
def test_as_much_is_logged_as_is_asked_for(
    options: dict[str, Any], levels: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure(**options)
    logger = log.get_logger()
    for say in (logger.debug, logger.info, logger.warning, logger.error):
        say("a.b")
    assert [event["level"] for event in logged(capsys)] == levels


def test_a_terminal_is_told_of_warnings_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(log.Format.CONSOLE)
    log.get_logger().info("run.started")
    log.get_logger().warning("registry.slow", registry="prod")
    text = capsys.readouterr().err
    assert "run.started" not in text
    assert "registry.slow" in text
    assert "registry=prod" in text


def test_what_libraries_warn_of_is_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure()
    log.configure()
    logging.getLogger("urllib3").warning("retrying %s", "https://me:hunter2@host/")
    logging.getLogger("urllib3").info("quiet")
    (event,) = logged(capsys)
    assert event["event"] == "retrying https://***@host/"
    assert event["level"] == "warning"


def test_a_traceback_holds_no_password(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure()
    try:
        raise ValueError("https://me:hunter2@host/")  # noqa: TRY301  a traceback is wanted
    except ValueError:
        log.get_logger().exception("registry.failed")
    text = capsys.readouterr().err
    assert "Traceback" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    "key",
    ["password", "PASSWORD", "registry_password", "token", "bearer_token", "Authorization", "client_secret",
     "api_key", "aws_secret_access_key", "credentials", "cookie", "auth", "identitytoken"],
)  # fmt: skip
def test_a_key_that_is_named_like_a_credential_has_no_value(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure()
    log.get_logger().info("a.b", **{key: "hunter2"}, nested={"list": [{key: b"hunter2"}]})
    text = capsys.readouterr().err
    assert "hunter2" not in text
    assert text.count(GONE) == 2


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://me:hunter2@host/v2/", "https://***@host/v2/"),
        ("https://hunter2@host", "https://***@host"),
        ("https://me:hun@ter2@host", "https://***@host"),
        ("Authorization: Bearer hunter2.hunter2", "Authorization: Bearer ***"),
        ("basic aHVudGVyMjpodW50ZXIy=", "basic ***"),
        (
            "https://host/x?scope=a&X-Amz-Signature=hunter2&b=1",
            "https://host/x?scope=a&X-Amz-Signature=***&b=1",
        ),
        ("https://host/x?sig=hunter2", "https://host/x?sig=***"),
        ("https://host/x?access_token=hunter2", "https://host/x?access_token=***"),
    ],
)
def test_a_text_loses_its_credentials_and_nothing_else(text: str, left: str) -> None:
    assert redact(text) == left
    assert redact(f"it said {text} twice: {text}") == f"it said {left} twice: {left}"


@pytest.mark.parametrize(
    "text",
    [
        "ghcr.io/acme/base:3@sha256:0123",
        "https://host:5000/v2/app/manifests/sha256:0123@x",
        "a basic rule, the bearer of news",
        "services/pull-requests: pr-* older than 14d",
        "https://host/v2/_catalog?n=1000&last=monkey",
    ],
)
def test_what_is_no_credential_stays(text: str) -> None:
    assert redact(text) == text


def test_a_log_follows_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log.configure()
    monkeypatch.setattr(sys, "stderr", sys.stdout)
    log.get_logger().info("a.b")
    assert "a.b" in capsys.readouterr().out


@pytest.mark.parametrize("form", list(log.Format))
def test_what_a_registry_sends_moves_no_terminal(
    form: log.Format, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure(form)
    log.get_logger().warning("listing.failed", repository="a\x1b[31m\u202eb", message="one\rtwo\nthree")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    assert "listing.failed" in line


def test_an_exception_keeps_its_lines_and_loses_what_moves_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.configure(log.Format.CONSOLE)
    try:
        int("\x1b[2J")
    except ValueError:
        log.get_logger().exception("run.failed")
    text = capsys.readouterr().err
    assert len(text.splitlines()) > 2
    assert "\x1b" not in text
    assert "x1b[2J" in text
