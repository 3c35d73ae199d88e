"""What a registry says when it refuses: the specification's error list, or whatever else came.

A 4xx answer may have a body of any form. Its text goes into reports, so it is cut, freed of control
characters, left out where it is HTML, and never holds the secrets that were sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from janitor.decoding import decode
from janitor.net.http import Response

_MESSAGE_LIMIT = 300  # characters: a sentence or two, not a stack trace


class OciError(msgspec.Struct, frozen=True, kw_only=True):
    """The first error of an answer; both are empty where nothing usable was said."""

    code: str = ""
    message: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.code, self.message)))


class _Entry(msgspec.Struct, kw_only=True):
    code: str | int | None = None
    message: str | None = None
    detail: msgspec.Raw = msgspec.Raw(b"")


class _Body(msgspec.Struct, kw_only=True):
    errors: tuple[_Entry, ...] | None = None
    message: str | None = None
    details: str | None = None
    error_description: str | None = None
    detail: msgspec.Raw = msgspec.Raw(b"")
    text: str | None = None


def first_error(response: Response, secrets: Iterable[str] = ()) -> OciError:
    """Read what an answer says; ``secrets`` are cut out of it."""
    code, message = _read(response)
    for secret in secrets:
        if secret:
            message = message.replace(secret, "…")
            code = code.replace(secret, "…")
    return OciError(code=clean(code), message=clean(message))


def _read(response: Response) -> tuple[str, str]:
    try:
        body = decode(response.body, _Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = response.body[: 4 * _MESSAGE_LIMIT].decode("utf-8", "replace")
        return "", "" if "html" in response.media_type or text.lstrip().startswith("<") else text
    if not body.errors:
        said = (body.message, body.details, body.error_description, _detail(body.detail), body.text)
        return "", next(filter(None, said), "")
    entry = body.errors[0]
    detail = _detail(entry.detail)
    message = entry.message or ""
    return str(entry.code or ""), f"{message} ({detail})" if detail and message else message or detail


def _detail(raw: msgspec.Raw) -> str:
    """Read a detail that is a sentence; a structure of a server's own is no text for a report."""
    try:
        return msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def clean(text: str) -> str:
    """Cut a text of a foreign server to a sentence or two, on one line."""
    text = re.sub(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+", " ", text).strip()
    return text if len(text) <= _MESSAGE_LIMIT else f"{text[:_MESSAGE_LIMIT]}…"
