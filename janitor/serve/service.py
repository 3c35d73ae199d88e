"""Daemon and web page together, over one state folder."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType

from janitor.errors import FileError, UsageError
from janitor.files.statefolder import default_folder, why_unwritable
from janitor.log import get_logger
from janitor.progress import Progress
from janitor.serve.daemon import Daemon
from janitor.serve.web import Web, address_of, hosts_of, serving
from janitor.settings import Settings, Stop


class Service:
    """Entered, it has a daemon that is ready to work, and its page is served at the address.

    Errors: PolicyError and UsageError where the policies or the address are wrong, or something is to be
    deleted and the state folder can't be written; FileError where another daemon has it.
    """

    def __init__(
        self,
        settings: Settings,
        listen: tuple[str, int],
        environ: Mapping[str, str],
        *,
        stop: Stop,
        clock: Callable[[], datetime],
        progress: Progress,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._settings = settings
        self._listen = listen
        self._environ = environ
        self._stop = stop
        self._clock = clock
        self._progress = progress
        self._pause = pause or stop.wait
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> tuple[Daemon, str]:
        """Read the policies, hold the lock, and listen."""
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(_folder(self._settings, self._environ))
            daemon = Daemon(
                self._settings,
                folder,
                self._environ,
                stop=self._stop,
                clock=self._clock,
                progress=self._progress,
                pause=self._pause,
            )
            stack.callback(daemon.close)
            host, port = self._listen
            web = Web(daemon.board, daemon.history, self._clock, hosts_of(host))
            bound = stack.enter_context(serving(web, host, port))
            self._stack = stack.pop_all()
        return daemon, address_of(*bound)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, and give the lock back."""
        self._stack.close()


@contextlib.contextmanager
def _folder(settings: Settings, environ: Mapping[str, str]) -> Iterator[Path]:
    """The state folder; dry runs do with one that lasts as long as the daemon."""
    try:
        path = default_folder(environ) if settings.state_dir is None else Path(settings.state_dir)
        trouble = why_unwritable(path)
    except FileError as error:
        path, trouble = Path(), error.message
    if trouble is None:
        yield path
        return
    if settings.delete:
        raise UsageError(f"{trouble}; nothing is deleted without one")
    with contextlib.ExitStack() as stack:
        try:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="janitor-")))
        except OSError:
            raise UsageError(f"{trouble}, and no other folder either; give one with --state-dir") from None
        get_logger().warning("serve.forgets", reason=f"{trouble}; what ran is forgotten at the end")
        yield path
