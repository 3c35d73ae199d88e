from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from janitor.cli.app import janitor
from tests.cli.house import call


def test_the_demo_plans_deletes_and_has_nothing_left_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = call(janitor, "demo", "-q")
    assert (result.exit_code, result.stderr) == (0, "")
    closing = [line for line in result.stdout.splitlines() if " in 3 repositories" in line]
    would, did, rest = (line.partition(" image")[0] for line in closing)
    assert would.startswith("would delete ")
    assert did == would.replace("would delete", "deleted")
    assert rest == "would delete 0"
    assert list(tmp_path.iterdir()) == []


def test_the_demo_leaves_a_folder_that_was_named(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "sample"
    assert call(janitor, "demo", "--folder", str(folder), "-q").exit_code == 0
    assert (folder / "policy.yaml").is_file()
    again = call(janitor, "demo", "--folder", str(folder))
    assert again.exit_code == 2
    assert "there already" in again.stderr
