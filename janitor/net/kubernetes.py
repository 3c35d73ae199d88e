"""Lists of a Kubernetes API: each whole, or an error.

- A list is read in chunks, of which the API promises one moment: when its ``continue`` token has grown too
  old (410), the list is read from its beginning. The token that comes with such an answer goes on in another
  moment and is not used.
- A chunk is a list of the version that was asked for, with ``items`` in it. A token or an object that was
  there before, more objects to come and no token, and chunks without end are Malformed.
- A refused request is sent again when its sender has another credential by now, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from janitor import decoding
from janitor.errors import Denied, Malformed
from janitor.net.caller import Caller, Purpose, Trouble
from janitor.net.http import Http, Response, decode, origin_of, show, trouble
from janitor.net.kubeaccess import Access

CHUNK = 250  # objects of a chunk; with the largest that etcd takes (1.5 MiB) rare, this stays below the limit
CHUNK_LIMIT = 128 << 20  # bytes
MAX_CHUNKS = 20_000
MAX_EMPTY = 100  # chunks in a row; one may be empty
RESTARTS = 3  # of a list whose tokens grow old before it ends; a token lasts 5 minutes or more

_OK = 200
_UNAUTHORIZED = 401
_GONE = 410


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of objects: ``version`` with its group (``apps/v1``; the core's is ``v1``) and its plural."""

    version: str
    plural: str

    @classmethod
    def parse(cls, text: str) -> Resource:
        """Read ``GROUP/VERSION/PLURAL``, or ``VERSION/PLURAL`` of the core."""
        version, _, plural = text.rpartition("/")
        return cls(version=version, plural=plural)

    def path(self, namespace: str | None) -> str:
        """Tell where the API lists them; of all namespaces, or of one."""
        root = f"/apis/{self.version}" if "/" in self.version else f"/api/{self.version}"
        inside = f"/namespaces/{quote(namespace, safe='')}" if namespace is not None else ""
        return f"{root}{inside}/{self.plural}"

    def __str__(self) -> str:
        return f"{self.version}/{self.plural}"


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One object; ``namespace`` is empty where it stands in none. In ``content``, fractions are texts."""

    name: str
    namespace: str
    content: Mapping[str, Any]


class Unauthorized(Denied):
    """The cluster doesn't know who asks; no request would be let in."""


class _ListMetadata(msgspec.Struct, kw_only=True):
    continue_: str = msgspec.field(default="", name="continue")
    remaining: int | None = msgspec.field(default=None, name="remainingItemCount")


class _List(msgspec.Struct, kw_only=True, rename="camel"):
    api_version: str
    kind: str
    metadata: _ListMetadata
    items: list[msgspec.Raw] | None  # an empty list of Go's may be written as null


class _Status(msgspec.Struct, kw_only=True):
    message: str = ""


class _Expired(Exception):
    """The token of the next chunk is too old."""


class Cluster:
    """The API of one cluster, as long as it is read. Everything raises RegistryError."""

    def __init__(self, access: Access, *, caller: Caller, environ: Mapping[str, str]) -> None:
        self._access = access
        self._caller = caller
        self._environ = environ
        self._origin = origin_of(access.server)
        self._root = access.server.rstrip("/")
        self._http: Http | None = None

    def connect(self) -> None:
        """Get the credentials ready; raises Denied or Malformed where they can't be had."""
        if self._access.identity is not None:
            self._access.identity.header()
        self._http = self._access.connect(self._environ)

    def close(self) -> None:
        """Give back the connections."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def objects(self, resource: Resource, namespace: str | None = None) -> Iterator[Item]:
        """Every object of a kind, of all namespaces or of one.

        Where a list is begun anew, what was given out before comes again. Raises Gone where the cluster
        doesn't have the kind, and Malformed where the list can't be proven whole.
        """
        for _ in range(1 + RESTARTS):
            try:
                yield from self._list(resource, namespace)
            except _Expired:
                continue
            return
        raise Malformed(f"{resource}: the list could not be read to its end before it grew too old")

    def _list(self, resource: Resource, namespace: str | None) -> Iterator[Item]:
        token = ""
        tokens: set[str] = set()
        seen: set[tuple[str, str]] = set()
        empty = 0
        while True:
            chunk = self._chunk(resource, namespace, token)
            empty = 0 if chunk.items else empty + 1
            for content in chunk.items or ():
                item = _item(content, resource)
                if (item.namespace, item.name) in seen:
                    raise Malformed(f"{resource}: {item.namespace}/{item.name} came twice in one list")
                seen.add((item.namespace, item.name))
                yield item
            token = chunk.metadata.continue_
            if not token:
                if chunk.metadata.remaining:
                    raise Malformed(f"{resource}: the list ends {chunk.metadata.remaining} objects early")
                return
            if token in tokens or len(tokens) >= MAX_CHUNKS or empty > MAX_EMPTY:
                raise Malformed(f"{resource}: the chunks of the list never end")
            tokens.add(token)

    def _chunk(self, resource: Resource, namespace: str | None, token: str) -> _List:
        query = {"limit": str(CHUNK)} | ({"continue": token} if token else {})
        url = f"{self._root}{resource.path(namespace)}?{urlencode(query)}"
        what = f"{resource}{f' of {namespace}' if namespace is not None else ''}"

        def read(response: Response) -> _List:
            if response.status == _GONE and token:
                raise _Expired
            if response.status != _OK:
                raise _refusal(response, what)
            found = decode(response, _List)
            if found.api_version != resource.version:
                said = f"{found.kind} of {found.api_version}"[:100]
                raise Malformed(f"{what}: {show(url)} answered with {said}, which is no list of these")
            return found

        answer = self._call(url, read)
        if isinstance(answer, Response) and self._renewed():
            answer = self._call(url, read)
        if isinstance(answer, Response):
            raise Unauthorized(
                f"{_refusal(answer, what)}; its credentials are not known there, or have ended"
            )
        return answer

    def _call(self, url: str, read: Callable[[Response], _List]) -> _List | Response:
        """Send a request through the gate; a 401 is returned as it is."""

        def send() -> _List | Response:
            if self._http is None:
                self._http = self._access.connect(self._environ)
            response = self._http.request("GET", url, headers=self._headers(), limit=CHUNK_LIMIT)
            if origin_of(response.url) != self._origin:
                raise Malformed(
                    f"{show(url)} leads to another host ({show(response.url)}): is a login asked for?"
                )
            return response if response.status == _UNAUTHORIZED else read(response)

        return self._caller.call(send, purpose=Purpose.LIST)

    def _headers(self) -> dict[str, str]:
        sent = self._access.identity.header() if self._access.identity is not None else None
        return {"Accept": "application/json"} | ({"Authorization": sent} if sent is not None else {})

    def _renewed(self) -> bool:
        if self._access.identity is None or not self._access.identity.renew():
            return False
        self.close()  # another certificate needs another connection
        return True


_DECODER = msgspec.json.Decoder(float_hook=str)  # a tag of 1.10 stays one


def _item(content: msgspec.Raw, resource: Resource) -> Item:
    try:
        value = _DECODER.decode(content)
        metadata = value["metadata"]
        return Item(name=metadata["name"], namespace=metadata.get("namespace") or "", content=value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, KeyError, AttributeError):
        raise Malformed(f"{resource}: the list holds something that is no object of a cluster") from None


def _refusal(response: Response, what: str) -> Trouble:
    try:
        said = decoding.decode(response.body, _Status).message
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = ""
    return trouble(response, what, said[:500])
