"""Connections that note what the services say beside their answers: what is left of limits, and the time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from janitor.net.http import Http, Response
from janitor.providers.dockerhub.answers import server_time


class Reading(msgspec.Struct, kw_only=True):
    """What was said last; ``None`` where nothing was.

    ``requests_left`` of ``requests_limit`` a minute, of the Hub API; ``pulls_left`` of ``pulls_limit`` in the
    registry's window, absent where pulls aren't limited. ``time``: the server's.
    """

    requests_limit: str | None = None
    requests_left: str | None = None
    pulls_limit: str | None = None
    pulls_left: str | None = None
    time: datetime | None = None


class Meter(Http):
    """As :class:`Http`, and ``last`` is what was said last. Used from many threads."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.last = Reading()

    def request(self, method: str, url: str, **sent: Any) -> Response:
        """Send one request, as :meth:`Http.request` does."""
        response = super().request(method, url, **sent)
        said = {
            name: value for name, header in _HEADERS.items() if (value := response.header(header)) is not None
        }
        time = server_time(response)
        self.last = msgspec.structs.replace(self.last, **said, time=time or self.last.time)
        return response


_HEADERS: Mapping[str, str] = {
    "requests_limit": "X-RateLimit-Limit",
    "requests_left": "X-RateLimit-Remaining",
    "pulls_limit": "ratelimit-limit",
    "pulls_left": "ratelimit-remaining",
}
