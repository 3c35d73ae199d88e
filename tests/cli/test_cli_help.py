from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import janitor as package
from janitor.cli.app import janitor
from tests.cli.house import call
from tests.cli.house import janitor as program

HEAVY = (
    "apscheduler",
    "waitress",
    "yaml",
    "re2",
    "rich",
    "urllib3",
    "structlog",
    "msgspec",
    "ssl",
    "asyncio",
    "boto3",
    "google",
    "azure",
)


def test_the_overview_that_lies_ready_is_what_the_commands_say() -> None:
    ready = Path(package.__file__).with_name("cli") / "overview.txt"
    assert ready.read_text() == CliRunner().invoke(janitor, ["--help"], prog_name="janitor").stdout
    assert program("--help").stdout == ready.read_text()


def test_an_overview_that_can_not_be_written_is_told_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = program("--help", stdout=full.fileno())
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "standard output can't be written" in done.stderr


@pytest.mark.parametrize(
    "args", [[], ["run"], ["serve"], ["inventory"], ["report"], ["check"], ["test"], ["schema"], ["demo"]]
)
def test_help_loads_nothing_but_click(args: list[str]) -> None:
    script = (
        "import sys\n"
        "from janitor.cli import main\n"
        f"sys.argv = ['janitor', *{args!r}, '--help']\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert loaded & set(HEAVY) == set()
    assert "Usage: janitor" in done.stdout


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_shows_the_commands_in_their_order(flag: str) -> None:
    result = call(janitor, flag)
    assert result.exit_code == 0
    places = [
        result.stdout.index(f"\n  {name} ")
        for name in ("run", "inventory", "demo", "check", "test", "schema")
    ]
    assert places == sorted(places)
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_help_of_run_says_first_that_nothing_is_deleted_without_delete() -> None:
    result = call(janitor, "run", "-h")
    assert result.exit_code == 0, result.output
    text = result.stdout
    said = " ".join(text.split())
    assert said.index("Nothing is deleted without --delete") < said.index("--registry"), text
    headings = ["What it does:", "What it covers:", "How much:", "Files:", "Output:", "Other:"]
    assert [line for line in text.splitlines() if line in headings] == headings
    assert max(map(len, text.splitlines())) <= 80


def test_the_version_is_the_packages() -> None:
    assert call(janitor, "--version").stdout == f"janitor {package.__version__}\n"


def test_the_module_is_the_command() -> None:
    done = program("--version")
    assert (done.returncode, done.stdout) == (0, f"janitor {package.__version__}\n")
    assert program("rum").returncode == 2
