"""What a registry's answers may say: names, tags, digests and links, by the specification's grammar.

Whatever breaks it is Malformed: none gets into a URL, a file name or a plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from janitor.core.reference import is_digest
from janitor.errors import Malformed

_NAME_LIMIT = 255  # characters, of a name with its host; the specification's advice
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_NEXT = re.compile(
    r'(?:^|[;\s])rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next\s*(?:[;,]|$))', re.IGNORECASE
)


@lru_cache(maxsize=4096)
def check_name(repository: str) -> str:
    """Return a repository's name, if it is one."""
    if len(repository) > _NAME_LIMIT or not _NAME.fullmatch(repository):
        raise Malformed(f"{repository[:_NAME_LIMIT]!r} is no name that a repository can have")
    return repository


def check_tag(tag: str) -> str:
    """Return a tag, if it is one."""
    if not _TAG.fullmatch(tag):
        raise Malformed(f"{tag[:_NAME_LIMIT]!r} is no tag that an image can have")
    return tag


def check_digest(digest: str) -> str:
    """Return a digest, if it is one of SHA-256 or SHA-512."""
    if not is_digest(digest):
        raise Malformed(f"{digest[:_NAME_LIMIT]!r} is no digest of SHA-256 or SHA-512")
    return digest


def next_link(headers: Iterable[str]) -> str | None:
    """Find the address of the next page in the values of ``Link`` headers."""
    for header in headers:
        for url, parameters in _LINK.findall(header):
            if _NEXT.search(parameters):
                return str(url)
    return None
