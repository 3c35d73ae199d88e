"""What a JSON web token claims, for those who need to know and not to trust: nothing here is verified."""

from __future__ import annotations

import base64
from typing import TypeVar

import msgspec

from janitor.decoding import decode

T = TypeVar("T")


def read_claims(token: str, claims: type[T]) -> T | None:
    """Read the middle one of a token's three parts as this type; ``None`` where it is none."""
    parts = token.split(".")
    if len(parts) < 2:  # noqa: PLR2004 - header, claims, signature
        return None
    payload = parts[1]
    try:
        text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return decode(text, claims)
    except (ValueError, msgspec.DecodeError, RecursionError):
        return None
