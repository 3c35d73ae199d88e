"""Report files of one or several runs, read as one report.

Files of one run (the same one twice, or its ``.json`` beside its ``.jsonl``) would count everything twice,
and dry runs don't add up with deletions: both are refused. Where one of them holds no single images, none are
told of any: half of them would look like all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from janitor.core.merging import Merged, Part, merge
from janitor.core.report import Outcome, Report
from janitor.errors import UsageError
from janitor.files.reportfile import ReportFile, read_report


class ReportSet:
    """One report of all files. ``without_images`` are the files that hold no single images."""

    def __init__(self, files: Sequence[tuple[str, ReportFile]]) -> None:
        self.without_images = tuple(path for path, file in files if not file.has_outcomes)
        self._files = {file.report.run_id: file for _, file in files}
        parts = [
            Part(report=file.report, outcomes=file.outcomes if file.has_outcomes else None)
            for _, file in files
        ]
        self._merged: Merged | None = merge(parts) if len(files) > 1 else None
        self.report: Report = files[0][1].report if self._merged is None else self._merged.report

    def outcomes(self) -> Iterator[Outcome]:
        """Every outcome, a repository at a time in the order of the report; can be asked for again."""
        if self.without_images:
            return
        if self._merged is None:
            (file,) = self._files.values()
            yield from file.outcomes()
            return
        parts = [self._files[part.report.run_id] for part in self._merged.parts]
        held = [(each.registry, each.repository) for each in self.report.repositories]
        others = sorted({place for file in parts for place in file.places} - set(held))
        for place in (*held, *others):
            for number, file in enumerate(parts):
                for outcome in file.outcomes_of(place):
                    if self._merged.stands(number, outcome):
                        yield outcome


def read_reports(paths: Sequence[str]) -> ReportSet:
    """Read report files; at least one.

    Errors: FileError of what can't be read, UsageError of reports that can't be merged.
    """
    files = [(path, read_report(Path(path))) for path in paths]
    first_path, first = files[0]
    seen: dict[str, str] = {}
    for path, file in files:
        run_id = file.report.run_id
        if run_id in seen:
            raise UsageError(f"{seen[run_id]} and {path} are reports of one run ({run_id}): give one of them")
        seen[run_id] = path
        if file.report.mode != first.report.mode:
            raise UsageError(
                f"{first_path} is of a run with mode {first.report.mode}, {path} of one with mode "
                f"{file.report.mode}: what would be done and what was done don't add up"
            )
    return ReportSet(files)
