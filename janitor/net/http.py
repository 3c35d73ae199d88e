"""HTTP as this project wants it: bounded, suspicious, and without opinions of its own.

- A body larger than its limit, a body shorter than its ``Content-Length``, and a response that trickles past
  its deadline are errors, never a shorter answer.
- Redirects are followed at most five times, of GET and HEAD only: with the caller's credentials on the same
  origin, without them to another host, never from https to http. No cookies are kept.
- A proxy comes from ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY``; loopback never goes through one.
- Nothing is retried here, and what urllib3 raises leaves as :class:`janitor.net.caller.Trouble`, whose text
  holds no query and no user of a URL: those may be secrets.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec
import urllib3
from urllib3 import exceptions as u3

from janitor import __version__, decoding
from janitor.errors import Denied, Gone, Malformed, RegistryError, Unreachable, Unsupported
from janitor.net.caller import Kind, Trouble
from janitor.net.proxies import DEFAULT_PORTS, Proxies

T = TypeVar("T")

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 20.0  # of one read; a pod has 60 s to stop
DEADLINE_S = 120.0  # of a whole response: a server that sends a byte every 19 s is no server
JSON_LIMIT = 64 << 20  # a tag list of a million tags has some 40 MiB
ERROR_LIMIT = 64 << 10
MAX_REDIRECTS = 5
CHUNK = 1 << 16
USER_AGENT = f"registry-janitor/{__version__}"

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({408, 425, 500, 502, 503, 504})


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, read to its end. ``url`` is the last one, after redirects."""

    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes
    url: str

    def header(self, name: str) -> str | None:
        """Return the header's value; of several, joined by commas."""
        return self.headers.get(name)

    @property
    def media_type(self) -> str:
        """``Content-Type`` without its parameters, in lower case; empty where there is none."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()


class Origin(msgspec.Struct, frozen=True):
    """What two URLs share when credentials may go from one to the other."""

    scheme: str
    host: str
    port: int


def origin_of(url: str) -> Origin:
    """Tell the origin of an absolute http or https URL; raises Malformed of anything else."""
    parts = _split(url)
    return Origin(parts.scheme, (parts.hostname or "").lower(), parts.port or DEFAULT_PORTS[parts.scheme])


def show(url: str) -> str:
    """Show a URL as it may stand in a message: without user, password, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def join(base: str, link: str) -> str:
    """Resolve a link against the URL that gave it; raises Malformed of what is no link."""
    try:
        return urljoin(base, link)
    except ValueError:
        raise Malformed(f"{show(base)} gives a link that is none") from None


class Http:
    """Connections to any host, pooled. Used from many threads; close() gives the connections back.

    ``ca_file``: certificates that are trusted beside the system's (or those of ``SSL_CERT_FILE``).
    ``tls``: what an https server is shown and trusted by, instead of that; a proxy is not.
    ``server_name``: what its certificate is for, where that isn't the host of the URL.
    ``clock``: monotonic seconds, for deadlines; ``deadline``: so many for a whole response.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        ca_file: Path | None = None,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        concurrency: int = 16,
        clock: Callable[[], float] = time.monotonic,
        deadline: float = DEADLINE_S,
    ) -> None:
        self._deadline = deadline
        self._proxies = Proxies(environ)
        self._own_tls = tls
        self._server_name = server_name
        self._ca_files = tuple(
            file for file in (environ.get("SSL_CERT_FILE"), ca_file) if file is not None and str(file)
        )
        self._own_roots = "SSL_CERT_FILE" in environ and bool(environ["SSL_CERT_FILE"])
        self._concurrency = concurrency
        self._clock = clock
        self._lock = threading.Lock()
        self._managers: dict[tuple[str, str], urllib3.PoolManager] = {}

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit: int = JSON_LIMIT,
    ) -> Response:
        """Send one request, follow its redirects, and read the answer; any status is an answer.

        ``limit``: bytes of the body at most. Raises Trouble where no answer came, Malformed where one
        came that is not to be trusted.
        """
        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **(headers or {})}
        for _ in range(MAX_REDIRECTS + 1):
            response = self._exchange(method, url, sent, body, limit)
            if response.status not in _REDIRECTS:
                return response
            url, sent = _next_hop(method, response, sent)
        raise Malformed(f"{show(url)} redirects more than {MAX_REDIRECTS} times")

    def close(self) -> None:
        """Close every connection that is not in use."""
        with self._lock:
            managers = list(self._managers.values())
            self._managers.clear()
        for manager in managers:
            manager.clear()

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, limit: int
    ) -> Response:
        manager = self._manager(url)
        deadline = self._clock() + self._deadline
        try:
            raw = manager.urlopen(
                method,
                url,
                body=body,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=True,
            )
            try:
                data = self._read(raw, url, limit if raw.status < 400 else ERROR_LIMIT, deadline)  # noqa: PLR2004 - errors
            except BaseException:
                raw.close()
                raise
            raw.release_conn()
        except (u3.HTTPError, OSError, ValueError) as exc:
            raise _translated(exc, url) from exc
        return Response(status=raw.status, headers=raw.headers, body=data, url=url)

    def _read(self, raw: urllib3.BaseHTTPResponse, url: str, limit: int, deadline: float) -> bytes:
        pieces = []
        size = 0
        while piece := raw.read1(CHUNK):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                if raw.status >= 400:  # noqa: PLR2004 - an error's text is cut, its status is what counts
                    raw.close()
                    break
                raise Malformed(f"{show(url)} sent more than {limit:,} bytes")
            if self._clock() > deadline:
                message = f"{show(url)} did not finish its answer within {self._deadline:.0f} s"
                raise Trouble(Kind.TRANSIENT, Unreachable(message))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _manager(self, url: str) -> urllib3.PoolManager:
        parts = _split(url)
        proxy = self._proxies.of(parts)
        key = (parts.scheme, proxy or "")
        manager = self._managers.get(key)
        if manager is not None:
            return manager
        with self._lock:
            return self._managers.setdefault(key, self._new_manager(parts.scheme, proxy))

    def _new_manager(self, scheme: str, proxy: str | None) -> urllib3.PoolManager:
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
        context = self._own_tls or self._tls() if scheme == "https" else None
        if proxy is None:
            return urllib3.PoolManager(
                maxsize=self._concurrency,
                timeout=timeout,
                ssl_context=context,
                server_hostname=self._server_name,
            )
        user = urlsplit(proxy).netloc.rpartition("@")[0]
        return urllib3.ProxyManager(
            proxy,
            maxsize=self._concurrency,
            timeout=timeout,
            ssl_context=context,
            server_hostname=self._server_name,
            proxy_ssl_context=self._tls() if proxy.startswith("https:") else None,
            proxy_headers=urllib3.make_headers(proxy_basic_auth=user) if user else None,
        )

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not self._own_roots:
            context.load_default_certs()
        for file in self._ca_files:
            try:
                context.load_verify_locations(cafile=file)
            except (OSError, ssl.SSLError) as exc:
                reason = getattr(exc, "strerror", None) or "it holds no certificate"
                raise Trouble(
                    Kind.FINAL, Unreachable(f"can't read the certificates of {file}: {reason}")
                ) from exc
        return context


def decode(response: Response, type: type[T]) -> T:  # noqa: A002 - msgspec's name for it
    """Decode a JSON body; raises Trouble that says which URL gave no such JSON."""
    try:
        return decoding.decode(response.body, type)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as exc:
        # a cut body of unknown length looks just like this, hence transient
        message = f"{show(response.url)} did not send the JSON that was expected: {exc}"
        raise Trouble(Kind.TRANSIENT, Malformed(message)) from exc


def trouble(response: Response, what: str, message: str) -> Trouble:
    """Make the trouble that an HTTP status usually means.

    ``what`` says what was asked ("the tags of team/app"), ``message`` what the server said, or is empty.
    """
    said = f": {message}" if message else ""
    status = response.status
    text = f"{what}: {urlsplit(response.url).netloc.rpartition('@')[2]} answered {status}{said}"
    kind, error = _meaning(status)
    return Trouble(kind, error(text), retry_after=retry_after(response))


def _meaning(status: int) -> tuple[Kind, type[RegistryError]]:
    match status:
        case 429:
            return Kind.THROTTLED, Unreachable
        case 404 | 410:
            return Kind.GONE, Gone
        case 401 | 403 | 407:
            return Kind.DENIED, Denied
        case 405 | 501:
            return Kind.FINAL, Unsupported
        case _ if status in _BUSY or status > 504:  # noqa: PLR2004 - gateways have codes of their own up there
            return Kind.TRANSIENT, Unreachable
        case _:
            return Kind.FINAL, Malformed


def retry_after(response: Response) -> float | None:
    """Tell how many seconds the server asks to wait; ``None`` where it says nothing that can be read."""
    value = (response.headers.get("Retry-After") or "").strip()
    if not value:
        return None
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - _server_time(response)).total_seconds())


def _server_time(response: Response) -> datetime:
    """Tell the server's own time where it says so: its Retry-After is by that clock."""
    try:
        return parsedate_to_datetime(response.headers.get("Date") or "").astimezone(UTC)
    except ValueError:
        return datetime.now(UTC)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise Malformed("an address that is no URL was given") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise Malformed(f"{show(url)} is no http:// or https:// address")
    return parts


def _next_hop(method: str, response: Response, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    here = show(response.url)
    location = response.headers.get("Location")
    if not location:
        raise Malformed(f"{here} redirects to nowhere ({response.status} without Location)")
    if method not in {"GET", "HEAD"}:
        raise Malformed(f"{here} redirects a {method} ({response.status}), which is not followed")
    url = join(response.url, location)
    before, after = origin_of(response.url), origin_of(url)
    if before.scheme == "https" and after.scheme == "http":
        raise Malformed(f"{here} redirects from https to http ({show(url)}), which is not followed")
    if before == after:
        return url, dict(headers)
    return url, {name: value for name, value in headers.items() if name.lower() not in _CREDENTIALS}


_CREDENTIALS = frozenset({"authorization", "cookie", "private-token", "proxy-authorization"})


def _translated(exc: Exception, url: str) -> Trouble:
    """Say what went wrong between us and a host, without what the library's text may leak."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    causes = tuple(_causes(exc))
    if any(isinstance(cause, u3.ProxyError) for cause in causes):
        host = f"through the proxy, {host}"
    for cause in causes:
        told = _bad_answer(cause, url) or _no_answer(cause, host)
        if told is not None:
            return told
    return _unreachable(f"{host}: the connection failed ({type(exc).__name__})")


def _bad_answer(cause: BaseException, url: str) -> Trouble | None:
    match cause:
        case u3.IncompleteRead() | u3.InvalidChunkLength() | http.client.IncompleteRead():
            return Trouble(Kind.TRANSIENT, Malformed(f"{show(url)} cut its answer short"))
        case u3.DecodeError():
            return Trouble(Kind.TRANSIENT, Malformed(f"{show(url)} sent a body that does not decompress"))
        case u3.LocationValueError() | UnicodeError():
            return Trouble(Kind.FINAL, Malformed(f"{show(url)} is no address that can be asked"))
        case _:
            return None


def _no_answer(cause: BaseException, host: str) -> Trouble | None:
    match cause:
        case ssl.SSLCertVerificationError():
            said = cause.verify_message or "its verification failed"
            message = f"{host} shows a certificate that isn't trusted: {said}"
            return Trouble(Kind.FINAL, Unreachable(f"{message}; ca_file names the authority to trust"))
        case u3.NameResolutionError():
            return _unreachable(f"{host} can't be found: its name does not resolve")
        case u3.ConnectTimeoutError() if not isinstance(cause, u3.NewConnectionError):
            return _unreachable(f"{host} accepted no connection in {CONNECT_TIMEOUT_S:.0f} s")
        case u3.ReadTimeoutError() | TimeoutError():
            return _unreachable(f"{host} did not answer in {READ_TIMEOUT_S:.0f} s")
        case OSError() if cause.strerror:
            return _unreachable(f"{host}: {cause.strerror.lower()}")
        case _:
            return None


def _unreachable(message: str) -> Trouble:
    return Trouble(Kind.TRANSIENT, Unreachable(message))


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """Walk from an exception to what it wraps: urllib3 hands the inner one on as an argument."""
    seen: BaseException | None = exc
    for _ in range(8):
        if seen is None:
            return
        yield seen
        inner = next((arg for arg in seen.args if isinstance(arg, BaseException)), None)
        seen = inner or seen.__cause__ or seen.__context__
