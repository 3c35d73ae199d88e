"""Every exception that this project raises.

::

    JanitorError                 exit 1 unless the class says otherwise
    ├── UsageError               exit 2: the command is wrong, nothing was done
    │   └── PolicyError          exit 2: policy files are wrong; carries every Problem
    ├── FileError                exit 1: a file that a run reads or writes is missing, torn or foreign
    └── RegistryError            exit 1: a registry did not do what was asked; the rest of the run goes on
        ├── Unsupported          the registry can't do this at all
        ├── Refused              the registry will never do this (a lock, a rule of its own)
        ├── Gone                 what was asked for isn't there
        ├── Denied               credentials are missing or lack the right
        ├── Unreachable          no usable answer: network, TLS, time-outs, too many retries
        ├── Malformed            an answer that breaks the protocol: cut, repeated, of a wrong digest
        └── Stopped              the run was asked to stop before the request was sent

A message finishes the sentence: what, where, what was meant, what to do. Exceptions of libraries are
translated once, where they enter, and never leave ``net/``, ``files/`` or a provider.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec


class JanitorError(Exception):
    """Anything that this project raises on purpose."""

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"

    @property
    def message(self) -> str:
        """The sentence, without the class's name."""
        return str(self)


class UsageError(JanitorError):
    """The command or its files are wrong; nothing was done."""

    exit_code = 2
    code = "usage"


class Problem(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One mistake in one policy file.

    ``line`` and ``column`` count from 1; 0 says that the file as a whole is meant. ``excerpt`` is the
    source line, without its end, or the part of it around the column; ``caret`` is the column of the excerpt,
    as a terminal counts, under which the place is pointed at. ``hint`` is what was probably meant, or empty.
    """

    file: str
    line: int = 0
    column: int = 0
    message: str
    hint: str = ""
    excerpt: str = ""
    caret: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        text = f"{place}: {self.message}"
        if self.hint:
            text += f" ({self.hint})"
        if self.excerpt:
            text += f"\n  {self.excerpt}\n  {' ' * ((self.caret or self.column) - 1)}^"
        return text


class PolicyError(UsageError):
    """Policy files are wrong: every problem of every file, in the order of the files."""

    code = "policy"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class FileError(JanitorError):
    """A file that a run reads or writes is missing, torn or not what it should be."""

    code = "file"


class RegistryError(JanitorError):
    """A registry did not do what was asked."""

    code = "registry"


class Unsupported(RegistryError):
    """The registry can't do this at all."""

    code = "unsupported"


class Refused(RegistryError):
    """The registry will never do this: a lock, or a rule of its own."""

    code = "refused"


class Gone(RegistryError):
    """What was asked for isn't there."""

    code = "gone"


class Denied(RegistryError):
    """Credentials are missing, or lack the right."""

    code = "denied"


class Unreachable(RegistryError):
    """No usable answer: the network, TLS, a time-out, too many retries."""

    code = "unreachable"


class Malformed(RegistryError):
    """An answer that breaks the protocol: cut, repeated, or not of its digest."""

    code = "malformed"


class Stopped(RegistryError):
    """The run was asked to stop before the request was sent."""

    code = "stopped"
