"""Builds push, promote and sign on a real registry while runs delete beside them, one after the other.

The protocol has no conditional delete: a tag that is placed on an image between the last reading of its tags
and its deletion goes with it. Such are counted and told. What was placed before a run began, or a minute
before a deletion, is never lost.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from janitor.core.report import OutcomeKind
from janitor.files.journal import JournalFile
from tests.peers.distribution import serving
from tests.peers.skopeo import pull_every_platform
from tests.proofs.crowd import Crowd, Placement, absent
from tests.proofs.estate import Estate
from tests.proofs.warm import Warm

pytestmark = pytest.mark.peer("docker-registry", "skopeo")

CLIENTS = 12
LEAST = 3  # runs, however slow this machine is at the moment
SECONDS = 60 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 8
# So much later than a placement a deletion never takes it, however long its run lasts.
MINUTE = timedelta(seconds=60)
# A tag that is being placed is listed before it can be read: a repository where that is so again and again is
# not touched.
MOVING = re.compile("lost tags each of the 3 times")
RULES = (
    {"name": "releases", "keep": {"tags": ["semver:*"]}},
    {"name": "builds", "delete": {"tags": ["pr-*"], "older_than": "7d"}},
)
LIMITS = {"max_percent": 100, "min_remaining": 0}


class Deletion(msgspec.Struct, frozen=True, kw_only=True):
    """An image that a run deleted: between when, and when the run began."""

    repository: str
    digest: str
    begun: datetime
    announced: datetime
    settled: datetime


def deletions(journals: Sequence[JournalFile]) -> list[Deletion]:
    found = []
    for journal in journals:
        assert journal.ended
        assert not journal.unsettled()
        for intent in journal.intents:
            settled = journal.outcomes[intent.n]
            if settled.outcome is OutcomeKind.DELETED:
                found.append(
                    Deletion(
                        repository=intent.repository,
                        digest=intent.digest,
                        begun=journal.begun.started_at,
                        announced=intent.at,
                        settled=settled.at,
                    )
                )
    return found


def struck(placement: Placement, gone: Sequence[Deletion]) -> list[Deletion]:
    """The deletions of what a placement needs, while it stood or just before."""
    return [
        each
        for each in gone
        if each.repository == placement.repository
        and each.digest in placement.needs
        and each.settled >= placement.since
        and (placement.until is None or each.announced <= placement.until)
    ]


def test_what_is_protected_stays_while_others_push_promote_and_sign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Warm() as warm, serving() as registry:
        estate = Estate(
            warm,
            tmp_path,
            {"provider": "oci", "endpoint": registry.address},
            rules=RULES,
            limits=LIMITS,
            protect={"tags": ["stable-*"]},
        )
        crowd = Crowd(registry.host, CLIENTS)
        runs = 0
        until = time.monotonic() + SECONDS
        try:
            while time.monotonic() < until or runs < LEAST:
                # A folder of its own: what was first seen a moment ago would be too young to be deleted.
                ended = estate.run(state=f"state-{runs}")
                assert ended.code == 0 or MOVING.search(ended.err), ended.out + ended.err
                runs += 1
        finally:
            crowd.end()

        gone = deletions([each for n in range(runs) for each in estate.journals(f"state-{n}")])
        late = []
        lost: set[tuple[str, str]] = set()
        for placement in crowd.placements:
            for deletion in struck(placement, gone):
                assert placement.since >= deletion.begun, (placement, deletion)
                assert placement.since >= deletion.announced - MINUTE, (placement, deletion)
                late.append(deletion.settled - placement.since)
                lost.add((placement.repository, placement.tag))
        standing = [each for each in crowd.placements if each.until is None]
        whole = [each for each in standing if (each.repository, each.tag) not in lost]
        with ThreadPoolExecutor(4) as pool:
            pulled = list(pool.map(lambda each: pull(registry.host, each), _some(whole)))
        assert all(pulled)
        missing = absent(registry.host, crowd.pushed)
        assert missing <= {(each.repository, each.digest) for each in gone}
        # It was no walk in the park.
        assert runs >= LEAST
        assert len(gone) >= SECONDS
        with capsys.disabled():
            worst = f", the latest {max(late).total_seconds():.3f} s before" if late else ""
            sys.stdout.write(
                f"\nstress: {CLIENTS} clients pushed {len(crowd.pushed):,} images, {runs} runs deleted "
                f"{len(gone):,}; {len(whole):,} of {len(standing):,} protected tags stand and {len(pulled)} "
                f"were pulled; {len(late)} were placed while their image was being deleted{worst}\n"
            )


def _some(placements: list[Placement]) -> list[Placement]:
    """All that stands where there is time, else an even part of it."""
    return placements if MINUTE.seconds <= SECONDS else placements[:: max(1, len(placements) // 12)]


def pull(host: str, placement: Placement) -> bool:
    """Pull a tag whole, and each platform of it; it must have as many as were pushed."""
    return pull_every_platform(host, placement.repository, placement.tag) == len(placement.needs) - 1
