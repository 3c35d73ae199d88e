"""How soon a command answers, against an interpreter that does nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measuring import python, ratio

_PAIRS = 15

_POLICY = """\
  - name: team-{n}
    registries: prod
    repositories: "team-{n}/**"
    rules:
      - keep: {{tags: ["semver:*"], newest: 20}}
      - delete: {{tags: ["pr-*"], older_than: 14d}}
      - delete: {{tags: ["re:(?P<branch>.+)-[0-9a-f]{{7,40}}"], group_by: branch, beyond_newest: 3}}
      - delete: {{untagged: true, older_than: 7d}}
"""


def measure() -> None:
    """Print the ratios."""
    bare = python("-c", "pass")
    overview = ratio(python("-m", "janitor", "--help"), bare, pairs=_PAIRS)
    print(f"janitor --help: {overview:.1f} times python -c pass")
    with tempfile.TemporaryDirectory(prefix="janitor-bench-") as name:
        path = Path(name) / "policy.yaml"
        head = 'version: 1\nregistries: {prod: {provider: oci, endpoint: "https://r.example"}}\npolicies:\n'
        path.write_text(head + "".join(_POLICY.format(n=n) for n in range(100)))
        check = python("-m", "janitor", "check", str(path))
        print(f"janitor check of 100 policies: {ratio(check, bare, pairs=_PAIRS):.1f} times python -c pass")
