"""The one instant at which all tests happen."""

from __future__ import annotations

from datetime import UTC, datetime

NOW = datetime(2026, 6, 1, tzinfo=UTC)
