"""The log: events on standard error, for people on a terminal and as JSON lines elsewhere.

An event is a constant dotted name with key-values (``run.started``, ``registry.listed``); times are UTC. The
log is set up once, when a command runs. What looks like a credential is taken out before anything is written.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from enum import StrEnum
from typing import Any, cast

import structlog

from janitor.redaction import redact_value
from janitor.reports.console import clean


class Format(StrEnum):
    """How events are written; ``auto``: ``console`` on a terminal, else ``json``."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """Give the logger; what it writes to and how is looked up when an event is written."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger())


def is_json(form: Format) -> bool:
    """Whether events are written for programs."""
    return form is Format.JSON or (form is Format.AUTO and not sys.stderr.isatty())


def configure(form: Format = Format.AUTO, *, verbose: bool = False, quiet: bool = False) -> None:
    """Set up the log, libraries' warnings included.

    A terminal is told of warnings, since it has a progress bar; a file of everything that a run does.
    ``verbose`` adds details, ``quiet`` leaves errors alone.
    """
    json = is_json(form)
    level = logging.INFO if json else logging.WARNING
    if verbose:
        level = logging.DEBUG
    if quiet:
        level = logging.ERROR
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        redacted,
        *([structlog.processors.JSONRenderer()] if json else [printable, _console()]),
    ]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Stderr,
        cache_logger_on_first_use=False,
    )
    handler = _Handler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, _Handler)] + [handler]
    root.setLevel(max(level, logging.WARNING))


def redacted(logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take credentials out of an event; a processor of structlog."""
    del logger, name
    return {key: redact_value(key, value) for key, value in event.items()}


def printable(logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape what a terminal would obey; JSON does so by itself. A processor of structlog."""
    del logger, name
    return {
        key: "\n".join(map(clean, value.split("\n") if key == "exception" else [value]))
        if isinstance(value, str)
        else value
        for key, value in event.items()
    }


def _console() -> structlog.typing.Processor:
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())


class _Stderr:
    """A logger that writes to what standard error is at that moment: a progress bar may have taken it."""

    def __init__(self, *args: Any) -> None:
        del args

    def msg(self, message: str) -> None:
        print(message, file=sys.stderr, flush=True)  # noqa: T201  this is where the log is written

    debug = info = warning = error = critical = exception = fatal = log = msg


class _Handler(logging.Handler):
    """What libraries log, into the same stream."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write it."""
        try:
            print(self.format(record), file=sys.stderr, flush=True)  # noqa: T201  as above
        except Exception:  # noqa: BLE001  logging's own rule: a handler never raises
            self.handleError(record)
