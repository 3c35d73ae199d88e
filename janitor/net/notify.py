"""One message to one webhook.

- The address is the secret: whoever has it may post. Neither it nor a part of it stands in an error, whatever
  the libraries or the other side say.
- A redirect is an error: the message, and the address in it, are for one place.
- It ends soon: what was not sent after a while is given up. The run is over, and somebody waits for its exit
  code.
"""

from __future__ import annotations

import random as _random
import re
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import unquote, urlsplit

import msgspec
import urllib3

from janitor.core.legible import cut, short
from janitor.errors import Malformed, RegistryError, Stopped, Unreachable
from janitor.net.caller import Caller, Purpose, Trouble
from janitor.net.http import READ_TIMEOUT_S, Http, Response, trouble

LASTS_S = 30.0
"""Seconds in which a message may be tried again."""

_HIDDEN = "…"
_ERROR = 300
# Bytes of an answer that are read: "ok", a word about what is wrong, or a page that nobody wants.
_ANSWER = 1 << 16
# Characters of what the other side says that are repeated.
_SAID = 200
# Parts of an address that are shorter than this are words, not secrets.
_SECRET = 6


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How many seconds a message ``lasts``, and how its waits are waited."""

    lasts: float = LASTS_S
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = _random.random


def post(url: str, body: bytes, *, environ: Mapping[str, str], timing: Timing | None = None) -> None:
    """Post JSON to a webhook; any 2xx means that it was taken.

    Errors: RegistryError, in whose text no part of the address but its host stands.
    """
    timing = timing or Timing()
    try:
        urlsplit(url)
    except ValueError:
        raise Malformed("its address is no URL") from None
    http = Http(environ=environ, clock=timing.clock, deadline=READ_TIMEOUT_S)
    caller = Caller(
        concurrency=1,
        stop=_Over(timing),
        sleep=timing.sleep,
        clock=timing.clock,
        random=timing.random,
    )
    last: list[RegistryError] = []
    try:
        caller.call(lambda: _send(http, url, body, last), purpose=Purpose.OTHER)
    except Stopped:
        said = f"; at last: {last[-1]}" if last else ""
        raise Unreachable(_without(url, f"not taken in {timing.lasts:.0f} s{said}")) from None
    except RegistryError as error:
        raise type(error)(_without(url, error.message)) from None
    finally:
        http.close()


class _Over(threading.Event):
    """A stop that is set by the time."""

    def __init__(self, timing: Timing) -> None:
        super().__init__()
        self._clock = timing.clock
        self._end = timing.clock() + timing.lasts

    def is_set(self) -> bool:
        return self._clock() >= self._end


def _send(http: Http, url: str, body: bytes, last: list[RegistryError]) -> None:
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    headers = {"Content-Type": "application/json"}
    if user:
        headers |= urllib3.make_headers(basic_auth=unquote(user))
    try:
        response = http.request(
            "POST",
            parts._replace(netloc=place, fragment="").geturl(),
            headers=headers,
            body=body,
            limit=_ANSWER,
        )
        if not response.status // 100 == 2:  # noqa: PLR2004 - all of them are yes
            raise trouble(response, "the webhook", _said(response))
    except Trouble as error:
        last.append(error.verdict.error)
        raise


def _said(response: Response) -> str:
    """Repeat what the other side says, if that is a word and no page."""
    text = " ".join(response.body[: 4 * _SAID].decode(errors="replace").split())
    return "" if text.startswith("<") else cut(short(text), _SAID)


def _without(url: str, text: str) -> str:
    """Take every part of the address but its host out of a text."""
    parts = urlsplit(url)
    secrets = {url, parts.path, parts.query, parts.fragment, parts.username or "", parts.password or ""}
    secrets |= set(re.split(r"[/&=?;,]", f"{parts.path}/{parts.query}/{parts.fragment}"))
    secrets |= {unquote(secret) for secret in secrets}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SECRET or (secret and secret == parts.password):
            text = text.replace(secret, _HIDDEN)
    return cut(text, _ERROR)
