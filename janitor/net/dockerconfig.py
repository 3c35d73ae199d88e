"""Docker's and podman's stored credentials, and the helper programs that keep them.

Files, in this order, the first that has something for the host: ``$REGISTRY_AUTH_FILE``,
``$DOCKER_CONFIG/config.json`` (default ``~/.docker``), podman's ``$XDG_RUNTIME_DIR/containers/auth.json`` and
``~/.config/containers/auth.json``. In a file: ``credHelpers`` of the host, then ``credsStore``, then
``auths``, where podman's keys may name a namespace and the longest counts.

No message holds anything that a file or a helper keeps.
"""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from janitor.decoding import decode
from janitor.errors import Denied

HELPER_TIMEOUT_S = 30.0  # some ask a cloud, or a person's key ring
HUB_KEY = "https://index.docker.io/v1/"

_HUB_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_TOKEN_USER = "<token>"  # noqa: S105 - what a helper calls the user when its secret is an identity token
_NOT_FOUND = "credentials not found"
_HELPER_NAME = re.compile(r"[A-Za-z0-9._-]+")


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What proves who asks: a password, an identity token that buys tokens, or a token that is sent as it is.

    Its representation says only which of them there are.
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __repr__(self) -> str:
        has = [name for name in self.__struct_fields__[1:] if getattr(self, name)]
        return f"Credentials(username={self.username!r}, has={has})"

    @property
    def basic(self) -> str | None:
        """The value of a Basic ``Authorization`` header; ``None`` without a password."""
        if not self.password:
            return None
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that must not be shown."""
        found = (
            self.password,
            self.identity_token,
            self.registry_token,
            (self.basic or "").removeprefix("Basic "),
        )
        return tuple(filter(None, found))


class _Auth(msgspec.Struct, kw_only=True):
    auth: str | None = None
    username: str | None = None
    password: str | None = None
    identitytoken: str | None = None
    registrytoken: str | None = None


class _Config(msgspec.Struct, kw_only=True, rename="camel"):
    auths: dict[str, _Auth | None] | None = None
    cred_helpers: dict[str, str] | None = None
    creds_store: str | None = None


class _HelperAnswer(msgspec.Struct, kw_only=True, rename="pascal"):
    username: str = ""
    secret: str = ""


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """One file as it is searched: its ``auths`` by host, or host/namespace."""

    path: Path
    helpers: Mapping[str, str]
    store: str | None
    auths: Mapping[str, _Auth]


class DockerConfig:
    """The stored credentials of one environment. Reads files and asks helpers when first asked, once each."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._lock = threading.Lock()
        self._files: tuple[_File, ...] | None = None
        self._answers: dict[tuple[str, str], Credentials | None] = {}
        self._found: dict[tuple[str, str], Credentials | None] = {}

    def find(self, host: str, repository: str = "") -> Credentials | None:
        """Look for the credentials of ``host[:port]``, or of a repository there where podman keeps its own.

        Raises Denied when a file or a helper that should have them can't be read.
        """
        wanted = (host, repository)
        if wanted in self._found:
            return self._found[wanted]
        with self._lock:
            if self._files is None:
                self._files = tuple(_read_files(self._environ))
            found = self._search(self._files, host, repository)
            self._found[wanted] = found
        return found

    def _search(self, files: tuple[_File, ...], host: str, repository: str) -> Credentials | None:
        for file in files:
            found = self._in_helpers(file, host) or self._in_auths(file, host, repository)
            if found is not None:
                return found
        return None

    def _in_helpers(self, file: _File, host: str) -> Credentials | None:
        key = HUB_KEY if host in _HUB_HOSTS else host
        helper = file.helpers.get(host) or file.helpers.get(key)
        for name in (helper, file.store):
            found = self._ask(name, key, file.path) if name else None
            if found is not None:
                return found
        return None

    def _in_auths(self, file: _File, host: str, repository: str) -> Credentials | None:
        for name in _candidates(host, repository):
            auth = file.auths.get(name)
            found = _from_auth(auth, name, file.path) if auth is not None else None
            if found is not None:
                return found
        return None

    def _ask(self, name: str, key: str, path: Path) -> Credentials | None:
        if (name, key) not in self._answers:
            self._answers[name, key] = _run_helper(name, key, path, self._environ)
        return self._answers[name, key]


def _read_files(environ: Mapping[str, str]) -> Iterator[_File]:
    for path in _paths(environ):
        try:
            config = decode(path.read_bytes(), _Config)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as exc:
            raise Denied(f"can't read the credentials in {path}: {exc.strerror}") from exc
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise Denied(f"{path} should hold docker's credentials as JSON, but doesn't: {exc}") from exc
        yield _File(
            path=path,
            helpers=config.cred_helpers or {},
            store=config.creds_store or None,
            auths={_normal(name): auth for name, auth in (config.auths or {}).items() if auth is not None},
        )


def _paths(environ: Mapping[str, str]) -> Iterator[Path]:
    home = environ.get("HOME")
    if named := environ.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
    if folder := environ.get("DOCKER_CONFIG"):
        yield Path(folder) / "config.json"
    elif home:
        yield Path(home) / ".docker" / "config.json"
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers" / "auth.json"
    if configs := environ.get("XDG_CONFIG_HOME") or (home and f"{home}/.config"):
        yield Path(configs) / "containers" / "auth.json"


def _normal(key: str) -> str:
    """Bring a key of ``auths`` to host, or host/namespace: ``https://host/v1/`` is ``host``."""
    bare = key.removeprefix("https://").removeprefix("http://").rstrip("/")
    host, _, rest = bare.partition("/")
    if bare != key.rstrip("/") or rest in {"v1", "v2"}:
        rest = ""
    host = host.lower()
    if host in _HUB_HOSTS:
        host = "docker.io"
    return f"{host}/{rest}" if rest else host


def _candidates(host: str, repository: str) -> Iterator[str]:
    """Give the keys that may have a repository's credentials, the longest first."""
    host = "docker.io" if host in _HUB_HOSTS else host
    parts = repository.split("/") if repository else []
    for length in range(len(parts), 0, -1):
        yield "/".join((host, *parts[:length]))
    yield host


def _from_auth(auth: _Auth, key: str, path: Path) -> Credentials | None:
    username, password = auth.username or "", auth.password or ""
    if auth.auth:
        try:
            pair = base64.b64decode(auth.auth.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Denied(f"the auth of {key} in {path} is not base64 of user:password") from None
        username, _, password = pair.rstrip("\0").partition(":")
    found = Credentials(
        username="" if username == _TOKEN_USER else username,
        password=password,
        identity_token=auth.identitytoken or "",
        registry_token=auth.registrytoken or "",
    )
    return found if found.secrets else None


def _run_helper(name: str, key: str, path: Path, environ: Mapping[str, str]) -> Credentials | None:
    program = f"docker-credential-{name}"
    place = shutil.which(program, path=environ.get("PATH", "")) if _HELPER_NAME.fullmatch(name) else None
    if place is None:
        raise Denied(f"{path} says that {program} keeps the credentials of {key}, but it isn't on the PATH")
    try:
        done = subprocess.run(  # noqa: S603 - the program that the user's own configuration names
            [place, "get"],
            input=key.encode(),
            capture_output=True,
            timeout=HELPER_TIMEOUT_S,
            env=dict(environ),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Denied(f"{program} did not answer for {key} within {HELPER_TIMEOUT_S:.0f} s") from None
    except OSError as exc:
        raise Denied(f"{program} can't be started: {exc.strerror}") from exc
    if done.returncode != 0:
        said = done.stdout.decode("utf-8", "replace").strip()
        if _NOT_FOUND in said:
            return None
        raise Denied(f"{program} has no credentials for {key}: {_harmless(said)}")
    try:
        answer = decode(done.stdout, _HelperAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Denied(f"{program} did not answer with the JSON of a credential helper") from None
    if not answer.secret:
        return None
    if answer.username == _TOKEN_USER:
        return Credentials(identity_token=answer.secret)
    return Credentials(username=answer.username, password=answer.secret)


def _harmless(said: str) -> str:
    """Show a failed helper's message, which by the protocol is a sentence, unless it looks like an answer."""
    line = said.splitlines()[0][:200] if said else "it said nothing"
    return "its message is not shown" if "{" in said or "secret" in said.lower() else line
