"""What the tests of sources on AWS share: the credentials that the simulators know."""

from __future__ import annotations

from collections.abc import Mapping

ENVIRON: Mapping[str, str] = {"AWS_ACCESS_KEY_ID": "AKIDTEST", "AWS_SECRET_ACCESS_KEY": "secret"}
