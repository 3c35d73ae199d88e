"""The state folder: what one run leaves for the next.

::

    lock                     held by a run (flock); of a shard: lock.0-of-4
    serve                    held by a daemon as long as it lives; of a shard: serve.0-of-4
    position                 how far a run came that was cut short; of a shard: position.0-of-4
    runs/RUN/                journal and report of each run
    manifests/NAME           what was read of the manifests of one repository
    seen/NAME                when the digests and tags of one repository were first seen
    returned/NAME, left/NAME what came back to it, and what was left behind there

A lock that is held is an error at once that names the holder; the kernel drops it with the process, so that
nothing is ever left locked. Folders and files are the owner's alone. Names of registries and repositories
come from outside: they become file names by their hash, and run ids must look like run ids.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from janitor.errors import FileError
from janitor.files.atomic import PRIVATE, write_atomically

_PRIVATE_FOLDER = 0o700
_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")
_UNSPEAKABLE = re.compile(r"[^0-9A-Za-z_-]+")


RUN_LOCK = "lock"
DAEMON_LOCK = "serve"


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a lock, as the lock file says."""

    pid: int
    host: str
    run_id: str


class _Position(msgspec.Struct, frozen=True, kw_only=True):
    registry: str
    unit: str


def default_folder(environ: Mapping[str, str]) -> Path:
    """``$XDG_STATE_HOME/janitor``, and where that is unset or relative ``~/.local/state/janitor``.

    Raises FileError where there is no home either.
    """
    base = environ.get("XDG_STATE_HOME", "")
    if Path(base).is_absolute():  # the XDG specification: a relative path is to be ignored
        return Path(base) / "janitor"
    home = environ.get("HOME", "")
    if not Path(home).is_absolute():
        raise FileError("no place for the state folder: HOME is not set; give one with --state-dir")
    return Path(home) / ".local" / "state" / "janitor"


def why_unwritable(folder: Path) -> str | None:
    """Make the folder, try it, and say why nothing can be written there; ``None`` when it can."""
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        probe = folder / f".probe-{secrets.token_hex(8)}"
        probe.touch(mode=PRIVATE, exist_ok=False)
        probe.unlink()
    except OSError as error:
        return f"the state folder {folder} can't be written: {error.strerror or error}"
    return None


def safe_name(registry: str, repository: str) -> str:
    """Make a file name of a repository: what can be read of it, and a hash that tells it from all others."""
    spoken = _UNSPEAKABLE.sub("_", f"{registry}_{repository}")[:80]
    hashed = hashlib.sha256(f"{registry}\0{repository}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{spoken}-{hashed[:32]}"


class StateFolder:
    """A state folder that this run holds; close it, or use it as a context manager."""

    def __init__(self, path: Path, lock: int, lock_name: str) -> None:
        self.path = path
        self.lock_name = lock_name
        self._lock = lock

    @classmethod
    def hold(
        cls, path: Path, run_id: str, shard: tuple[int, int] | None = None, *, lock: str = RUN_LOCK
    ) -> Self:
        """Make the folder where it is missing, and lock it; ``shard`` is (I, N).

        Raises FileError: at once, naming the holder, when another run has the lock; when it can't be written.
        """
        reason = why_unwritable(path)
        if reason is not None:
            raise FileError(reason)
        name = sharded(lock, shard)
        return cls(path, _locked(path, path / name, _checked_run_id(run_id)), name)

    def run_folder(self, run_id: str) -> Path:
        """Return the folder of a run, made where it is missing. Raises FileError."""
        folder = run_folder(self.path, run_id)
        try:
            folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{folder} can't be made: {error.strerror or error}") from error
        return folder

    def position(self) -> tuple[str, str] | None:
        """Registry and unit that the run before reached last, if it was cut short; else ``None``."""
        try:
            position = msgspec.json.decode(self._position.read_bytes(), type=_Position)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return position.registry, position.unit

    def move_to(self, place: tuple[str, str] | None) -> None:
        """Remember how far this run came; ``None``: it came to its end. Raises FileError."""
        if place is None:
            try:
                self._position.unlink(missing_ok=True)
            except OSError as error:
                message = f"{self._position} can't be removed: {error.strerror or error}"
                raise FileError(message) from error
            return
        registry, unit = place
        data = msgspec.json.encode(_Position(registry=registry, unit=unit)) + b"\n"
        write_atomically(self._position, data, mode=PRIVATE)

    @property
    def _position(self) -> Path:
        return self.path / self.lock_name.replace("lock", "position")

    def is_over(self, run_id: str, lock_name: str) -> bool:
        """Whether a run that held this lock has come to its end, however it did."""
        if lock_name == self.lock_name:
            return True
        path = self.path / _checked_run_id(lock_name)
        holder = _read_holder(path)
        return holder is None or holder.run_id != run_id or _is_free(path)

    def close(self) -> None:
        """Give the lock back. May be called twice."""
        if self._lock < 0:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(self._lock, 0)
        os.close(self._lock)
        self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sharded(name: str, shard: tuple[int, int] | None) -> str:
    """Call a file of the folder so that each shard has one of its own."""
    return name if shard is None else f"{name}.{shard[0]}-of-{shard[1]}"


def held_by(folder: Path, shard: tuple[int, int] | None = None) -> str | None:
    """Say which run has the folder at this moment; ``None``: nobody, and another may be quicker."""
    path = folder / sharded(RUN_LOCK, shard)
    return None if not path.exists() or _is_free(path) else _holder_of(path)


def run_folder(folder: Path, run_id: str) -> Path:
    """Say where a run's files are, whether it was or not. Raises FileError for what can't be a run's id."""
    return folder / "runs" / _checked_run_id(run_id)


def run_ids(folder: Path) -> tuple[str, ...]:
    """Every run that left something, sorted by id. Raises FileError when the folder can't be read."""
    try:
        return tuple(sorted(each.name for each in (folder / "runs").iterdir() if each.is_dir()))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise FileError(f"{folder / 'runs'} can't be read: {error.strerror or error}") from error


def _checked_run_id(run_id: str) -> str:
    if not _RUN_ID.fullmatch(run_id):
        raise FileError(
            f"{run_id!r} is no run id; the folders below runs/ of the state folder are called by them"
        )
    return run_id


def _locked(folder: Path, path: Path, run_id: str) -> int:
    holder = Holder(pid=os.getpid(), host=socket.gethostname(), run_id=run_id)
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The file stays for ever: one that is removed could be locked twice, under one name.
            os.ftruncate(lock, 0)
            os.pwrite(lock, msgspec.json.encode(holder) + b"\n", 0)
        except BaseException:
            os.close(lock)
            raise
    except BlockingIOError:
        raise FileError(
            f"the state folder {folder} is in use by {_holder_of(path)}; "
            "wait for its end, or give another with --state-dir"
        ) from None
    except OSError as error:
        raise FileError(f"the state folder {folder} can't be locked: {error.strerror or error}") from error
    return lock


def _is_free(path: Path) -> bool:
    """Try a lock for a moment; only one that a run that died is said to hold is worth that."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _read_holder(path: Path) -> Holder | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Holder)
    except (OSError, msgspec.MsgspecError):
        return None


def _holder_of(path: Path) -> str:
    holder = _read_holder(path)
    if holder is None:
        return "another run (it has not said which)"
    held = "a daemon" if holder.run_id == DAEMON_LOCK else f"run {holder.run_id}"
    return f"{held} (process {holder.pid} on {holder.host})"
