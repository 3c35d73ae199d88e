"""The interface of everything that can say which images are in use.

A source reads; it decides nothing. What it can't read it says, and goes on with the rest: a run is closed by
what is unread, and protected by what was read all the same.
"""

from __future__ import annotations

import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, Generic, TypeVar

import msgspec

from janitor.core.reference import Reference, is_digest
from janitor.core.use import SourceReading
from janitor.errors import JanitorError
from janitor.net.caller import Caller

_SHOWN = 3  # problems of one source that are told in full


class Findings:
    """What a source finds on its way: references, texts that are none, and what could not be read."""

    def __init__(self) -> None:
        self.references: dict[Reference, None] = {}
        self.unparsed: dict[str, None] = {}
        self.problems: list[str] = []

    def take(self, text: str) -> None:
        """Take what a runtime was given, or says that it runs; an empty text says nothing.

        What it could pull no image by is no problem, for it runs none. But a digest in it does run, whatever
        the name before it is.
        """
        if not text:
            return
        try:
            self.references[Reference.parse(text)] = None
        except ValueError:
            self.unparsed[text] = None
            digest = text.rpartition("@")[2]
            if is_digest(digest):
                self.references[Reference(host="", repository="", digest=digest)] = None


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a source gets from the run that reads it.

    ``stop``: once set, nothing further is asked. ``sleep`` (seconds), ``clock`` (monotonic seconds) and
    ``random`` (from 0 to 1) are the machine's; tests hand in their own, so that no back-off really sleeps.
    """

    environ: Mapping[str, str] = MappingProxyType({})
    stop: threading.Event = msgspec.field(default_factory=threading.Event)
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random

    def caller(self, *, requests_per_second: float | None = None) -> Caller:
        """Make the gate before a service; every request to it goes through."""
        return Caller(
            requests_per_second=requests_per_second,
            stop=self.stop,
            sleep=self.sleep,
            clock=self.clock,
            random=self.random,
        )


KeysT = TypeVar("KeysT", bound=msgspec.Struct)


class Source(ABC, Generic[KeysT]):
    """One source of use, made of the keys that a policy file gives it; opens nothing until it is read.

    ``kind`` is its word under ``protect.in_use``, ``keys`` the frozen struct of what may be written there.

    An implementation has one method, ``_read``. It puts every image that it sees into ``found.references``,
    a text that stands where an image should and that no runtime could pull into ``found.unparsed``, and a
    sentence into ``found.problems`` for each thing that it could not read or not understand: from then on the
    source counts as unread. It goes on after a problem with what is left. It may raise OSError, ValueError or
    RegistryError where nothing is left to go on with, and looks at ``context.stop`` before each thing that it
    reads. It must never leave something out silently, and never change anything.
    """

    kind: ClassVar[str]
    keys: ClassVar[type[msgspec.Struct]]

    def __init__(self, keys: KeysT) -> None:
        self._keys = keys

    @property
    @abstractmethod
    def name(self) -> str:
        """What reports call it: its kind, and which one."""

    def read(self, context: Context, *, allow_empty: bool) -> SourceReading:
        """Everything that it says now. Never raises: what could not be read is in the reading's ``error``."""
        found = Findings()
        try:
            self._read(found, context, allow_empty=allow_empty)
        except OSError as error:
            found.problems.append(told(error))
        except JanitorError as error:
            found.problems.append(error.message)
        except ValueError as error:
            found.problems.append(str(error))
        except Exception as error:  # noqa: BLE001 - a fault of one source must close, not end, the run
            found.problems.append(f"{type(error).__name__}: {error}")
        if context.stop.is_set():
            found.problems.append("the run was asked to stop while it was being read")
        return SourceReading(
            source=self.name,
            references=tuple(found.references),
            unparsed=tuple(found.unparsed),
            error=_joined(found.problems),
            allow_empty=allow_empty,
        )

    @abstractmethod
    def _read(self, found: Findings, context: Context, *, allow_empty: bool) -> None: ...


def told(error: OSError) -> str:
    """Say what went wrong with which file, without the number that only the system knows."""
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def _joined(problems: list[str]) -> str | None:
    if not problems:
        return None
    more = len(problems) - _SHOWN
    return "; ".join(problems[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
