"""A warm process that forks runs of the program, and what a run may be made to suffer.

Everything is loaded once, in a process of one thread; each run is a fork of it, with an environment, a clock
and limits of its own. A run can be made to kill itself, as ``kill -9`` would, at any of its *steps*: each
``write``, ``fsync``, ``rename`` and ``ftruncate`` with which it changes what is on disk.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

ROOT = Path(__file__).parents[2]
# A run that hangs is ended, and its test fails.
_LONGEST_S = 300

How = Literal["before", "half", "after"]


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """Kill the run at its step ``at``, counted from 0. ``half``: a write writes half of its bytes first."""

    at: int
    how: How


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One run: ``arguments`` of the command line. ``folder`` takes its output.

    ``file_limit``: no file may grow over so many bytes. ``user``: who runs it, without any group.
    """

    arguments: tuple[str, ...]
    environ: Mapping[str, str]
    folder: Path
    break_at: Break | None = None
    file_limit: int | None = None
    user: int | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A call that changes something on disk, and the file, by its path."""

    call: str
    path: str


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended: its exit code, or less a signal's number. ``steps`` where it ended by itself."""

    code: int
    out: str
    err: str
    steps: tuple[Step, ...]


class Child:
    """A run that was begun; wait for it once."""

    def __init__(self, warm: Warm, pid: int, folder: Path) -> None:
        self.pid = pid
        self._warm = warm
        self._folder = folder

    def wait(self) -> Ended:
        """Wait for the end of it."""
        status = self._warm.ask({"wait": self.pid})
        steps = self._folder / "steps"
        return Ended(
            code=os.waitstatus_to_exitcode(status),
            out=(self._folder / "out").read_text(),
            err=(self._folder / "err").read_text(),
            steps=msgspec.json.decode(steps.read_bytes(), type=tuple[Step, ...]) if steps.exists() else (),
        )


class Warm:
    """The warm process; close it. To be asked by one thread at a time."""

    def __init__(self) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.proofs.warm"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environ,
        )

    def start(self, job: Job) -> Child:
        """Begin a run."""
        job.folder.mkdir(exist_ok=True)
        return Child(self, self.ask({"start": job}), job.folder)

    def run(self, job: Job) -> Ended:
        """Begin a run and wait for its end."""
        return self.start(job).wait()

    def ask(self, request: Mapping[str, object]) -> int:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(msgspec.json.encode(request, enc_hook=str) + b"\n")
        stdin.flush()
        answer = stdout.readline()
        assert answer, "the warm process is gone"
        return int(answer)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Request(msgspec.Struct, kw_only=True):
    start: Job | None = None
    wait: int | None = None


def _serve() -> None:
    """Fork runs, and tell how they ended, until nobody asks any more."""
    decoder = msgspec.json.Decoder(_Request, dec_hook=lambda kind, value: kind(value))
    for line in sys.stdin.buffer:
        request = decoder.decode(line)
        if request.start is not None:
            answer = os.fork()
            if answer == 0:
                _be(request.start)
        else:
            answer = os.waitpid(request.wait or 0, 0)[1]
        sys.stdout.buffer.write(b"%d\n" % answer)
        sys.stdout.buffer.flush()


def _be(job: Job) -> None:
    """Be the run, to its end; never returns."""
    code = 70
    try:
        signal.alarm(_LONGEST_S)
        _redirect(job.folder)
        os.environ.clear()
        os.environ.update(job.environ)
        if job.file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (job.file_limit, job.file_limit))
        if job.user is not None:
            os.setgroups([])
            os.setgid(job.user)
            os.setuid(job.user)
        steps = _watch(job.break_at)
        code = _main(job.arguments)
        with (job.folder / "steps").open("wb") as stream:
            stream.write(msgspec.json.encode(steps))
    except PermissionError:
        pass  # another user has no place for its steps
    except BaseException:  # noqa: BLE001 - a fork must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _redirect(folder: Path) -> None:
    for number, name in enumerate((Path("/dev/null"), folder / "out", folder / "err")):
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, number)
        os.close(file)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def _main(arguments: tuple[str, ...]) -> int:
    from janitor.cli import main  # noqa: PLC0415 - loaded in the warm process alone

    sys.argv = ["janitor", *arguments]
    try:
        main()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 0


def _watch(break_at: Break | None) -> list[Step]:
    """Put counters around what changes the disk, and the kill at one of them."""
    steps: list[Step] = []

    def around(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(first: Any, *rest: Any) -> Any:
            if isinstance(first, int) and first <= 2:
                return call(first, *rest)
            here = break_at if break_at is not None and break_at.at == len(steps) else None
            path = str(Path(f"/proc/self/fd/{first}").readlink() if isinstance(first, int) else rest[0])
            steps.append(Step(call=name, path=path))
            if here is not None and here.how != "after":
                if here.how == "half":
                    call(first, rest[0][: len(rest[0]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(first, *rest)
            if here is not None:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return step

    for name in ("write", "fsync", "rename", "ftruncate"):
        setattr(os, name, around(name, getattr(os, name)))
    return steps


def _warm_up() -> None:
    """Load what a run loads: another user may not be let to where Python keeps it."""
    "localhost".encode("idna")
    import boto3  # noqa: PLC0415 - here and nowhere else
    import rich.console  # noqa: F401, PLC0415 - as above

    import janitor.cli.app  # noqa: PLC0415 - as above
    import janitor.cli.run  # noqa: PLC0415 - as above
    import janitor.cli.running  # noqa: PLC0415 - as above
    import janitor.reports.console.page  # noqa: PLC0415 - as above
    import janitor.undoing  # noqa: F401, PLC0415 - as above
    from janitor.providers import PROVIDERS  # noqa: PLC0415 - as above

    for name in ("oci", "ecr"):
        assert PROVIDERS[name].keys
    boto3.session.Session(region_name="eu-west-1").client(
        "ecr", aws_access_key_id="none", aws_secret_access_key="none"
    ).close()


if __name__ == "__main__":
    _warm_up()
    _serve()
