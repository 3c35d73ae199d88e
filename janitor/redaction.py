"""What looks like a credential, and how it is taken out of what people and programs read.

These are: the values of keys that are named like one, the user part of URLs, what follows ``Bearer`` or
``Basic``, and the parameters of signed URLs. It is the second line of defence: no credential is put into a
message in the first place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

GONE = "***"
"""What stands where a credential stood."""

_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)?$|secret|token$|^authorization$|^proxy.authorization$|credential|cookie|"
    r"api.?key|access.?key|private.?key|^auth$|signature$",
    re.IGNORECASE,
)
# Each with the part that stays as its first group.
_SECRET_TEXT = (
    re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/?#\"']+@", re.IGNORECASE),
    re.compile(r"(\b(?:bearer|basic)\s+)[a-z0-9._~+/=-]{8,}", re.IGNORECASE),
    re.compile(
        r"([?&](?:[\w.-]*token|sig|[\w.-]*signature|[\w.-]*credential|password|secret|key)=)[^&\s\"']+",
        re.IGNORECASE,
    ),
)


def redact(text: str) -> str:
    """Take what looks like a credential out of a text."""
    for pattern in _SECRET_TEXT:
        text = pattern.sub(lambda found: f"{found[1]}{GONE}{'@' if found[0].endswith('@') else ''}", text)
    return text


def redact_value(key: str, value: Any) -> Any:
    """Take credentials out of the value of a key, at any depth; what is no plain value becomes text."""
    if _SECRET_KEY.search(key) and value is not None:
        return GONE
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bytes):
        return redact(value.decode(errors="backslashreplace"))
    if isinstance(value, Mapping):
        return {str(each): redact_value(str(each), held) for each, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_value("", each) for each in value]
    if isinstance(value, bool | int | float) or value is None:
        return value
    return redact(str(value))
