"""Files that are either the old one or the new one, never half of each.

A new file is written beside the old one, synced to disk, renamed over it, and then the folder is synced: a
reader, a kill or a power cut sees one or the other. What was written halfway is removed. Something that is no
regular file (``/dev/stdout``, a pipe) is written to as it is, since nothing could be renamed over it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from janitor.errors import FileError

PRIVATE = 0o600
"""The mode of state files: repository names are nobody else's business."""

_ORDINARY = 0o666  # less the umask, as any program's files
# A name of its own, not one made from the target's: that may have 255 bytes already.
_TEMPORARY = ".janitor-{token}.tmp"


@contextlib.contextmanager
def replacing(
    path: Path,
    *,
    mode: int | None = None,
    like: os.stat_result | None = None,
    just_before: Callable[[], None] | None = None,
) -> Iterator[IO[bytes]]:
    """Give a stream whose bytes become the file at ``path`` when the block ends well, and else nothing.

    ``mode`` is exact; without it the umask decides. ``like``: mode and, where the rights suffice, owner of
    the file that is replaced. ``just_before`` is called when all is on disk and only the rename is left;
    what it raises stops it. Symbolic links to the file are followed. Raises FileError.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                yield stream
            return
        temporary = target.with_name(_TEMPORARY.format(token=secrets.token_hex(8)))
        try:
            with _created(temporary, mode) as stream:
                yield stream
                stream.flush()
                if like is not None:
                    _liken(stream.fileno(), like)
                os.fsync(stream.fileno())
            if just_before is not None:
                just_before()
            temporary.rename(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)
    except OSError as error:
        raise FileError(f"{path} can't be written: {error.strerror or error}") from error


def write_atomically(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Make the file hold exactly ``data``. Raises FileError."""
    with replacing(path, mode=mode) as stream:
        stream.write(data)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _created(path: Path, mode: int | None) -> IO[bytes]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, _ORDINARY if mode is None else mode)
    if mode is not None:
        os.fchmod(descriptor, mode)  # past the umask
    return os.fdopen(descriptor, "wb")


def _liken(descriptor: int, like: os.stat_result) -> None:
    # The owner first: giving a file away may clear bits of its mode.
    with contextlib.suppress(PermissionError):
        os.fchown(descriptor, like.st_uid, like.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(like.st_mode))
