from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from janitor.core.report import (
    ErrorReport,
    Outcome,
    RegistryReport,
    Report,
    Totals,
    Unselected,
    UseReport,
    UseSource,
)
from janitor.errors import UsageError
from janitor.files.reportfile import read_report
from janitor.reports import FORMATS, renderer
from tests.factories import digest
from tests.reports.ledger import outcome, report, repository

FULL = report(
    repository("a", planned=1),
    repository("b"),
    policies=("policy.yaml",),
    registries=(RegistryReport(name="prod", provider="oci"),),
    unselected=(Unselected(pattern="sha-*", images=3),),
    in_use=UseReport(sources=(UseSource(source="file: x", references=1),), references=1),
    errors=(ErrorReport(registry="prod", code="denied", message="403"),),
)
OUTCOMES = (
    outcome("pr-1", "pr-2", repository="a"),
    outcome("1.0", "latest", repository="a", action="untag", remove=["1.0"], kind="untagged"),
    outcome(id="x", repository="b", kind="failed", detail="HTTP 500", size=None, pushed=None),
)


def written(suffix: str, *outcomes: Outcome) -> str:
    return "".join(FORMATS[suffix](FULL, outcomes or OUTCOMES))


def rows(*outcomes: Outcome) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written(".csv", *outcomes), newline="")))


def test_json_is_one_document_with_the_keys_of_the_page() -> None:
    document = json.loads(written(".json"))
    assert list(document) == list(Report.__struct_fields__)
    assert list(document["totals"]) == list(Totals.__struct_fields__)
    assert document["started_at"] == "2026-06-01T00:00:00Z"
    assert document["repositories"][0]["state"] == "ok"


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_what_is_written_is_read_back_as_it_was(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"report{suffix}"
    path.write_text(written(suffix))
    read = read_report(path)
    assert read.report == FULL
    assert tuple(read.outcomes()) == (OUTCOMES if suffix == ".jsonl" else ())


def test_json_lines_say_what_each_is() -> None:
    lines = [json.loads(line) for line in written(".jsonl").splitlines()]
    kinds = [line["kind"] for line in lines]
    assert kinds == [
        "report", "registry", "repository", "repository", "unselected", "error", "in_use",
        "action", "action", "action",
    ]  # fmt: skip
    assert "remove_tags" not in lines[-3]
    assert lines[-2]["remove_tags"] == ["1.0"]
    assert lines[-1]["outcome"] == "failed"
    assert lines[-1]["detail"] == "HTTP 500"


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_report_is_written_as_its_outcomes_come(suffix: str) -> None:
    def endless() -> Iterator[Outcome]:
        while True:
            yield outcome("t")

    pieces = FORMATS[suffix](FULL, endless())
    assert all(len(next(pieces)) < 1000 for _ in range(50))


def test_csv_has_a_row_an_outcome() -> None:
    first, second, third = rows()
    assert first["digest"] == digest("pr-1 pr-2")
    assert first["tags"] == "pr-1 pr-2"
    assert (second["remove_tags"], second["outcome"]) == ("1.0", "untagged")
    assert (third["tags"], third["size_bytes"], third["pushed_at"], third["detail"]) == (
        "",
        "",
        "",
        "HTTP 500",
    )


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("x")'])
def test_no_cell_of_a_csv_is_a_formula(evil: str) -> None:
    (row,) = rows(outcome(evil, repository=evil, reason=evil, detail=evil))
    assert row["tags"] == row["repository"] == row["reason"] == row["detail"] == "'" + evil


def test_csv_keeps_quotes_commas_and_line_ends_in_their_cells() -> None:
    (row,) = rows(outcome("t", reason='a "b", c\nd'))
    assert row["reason"] == 'a "b", c\nd'


@pytest.mark.parametrize("path", ["out.json", "dir.csv/out.JSONL", "./.hidden.csv"])
def test_the_suffix_chooses_the_format(path: str) -> None:
    assert renderer(path) in FORMATS.values()


@pytest.mark.parametrize("path", ["report", "report.yaml", ".json/x", "json", "report."])
def test_an_unknown_suffix_is_told_the_known_ones(path: str) -> None:
    with pytest.raises(UsageError, match=r"\.json \.jsonl \.csv"):
        renderer(path)
