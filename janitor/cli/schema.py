"""``janitor schema``: prints the JSON Schema of policy files."""

from __future__ import annotations

import json

from janitor.cli import options


@options.command("schema", epilog="In an editor: # yaml-language-server: $schema=janitor.schema.json")
def command() -> int:
    """Print the JSON Schema of policy files, with which editors complete and check them."""
    from janitor.cli.terminal import say
    from janitor.kinds import kinds
    from janitor.policyfile.schema import policy_schema

    say([json.dumps(policy_schema(kinds()), indent=2, ensure_ascii=False), "\n"])
    return 0
