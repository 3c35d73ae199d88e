r"""Text from outside as people may read it, and counts in words.

Names come from registries, and whoever may push may choose them: what moves a cursor, turns text around or
can't be seen at all is shown as an escape (``\x1b``, ``\u202e``), never sent as it is.
"""

from __future__ import annotations

import re

# Of a digest people recognise the beginning; twelve digits are what docker shows. Cosign's tags and those of
# the referrers tag scheme hold one, too.
_DIGEST = re.compile(r"([a-z0-9+._-]{2,32}:[0-9a-f]{12}|\bsha(?:256|512)-[0-9a-f]{12})[0-9a-f]{20,}")


def clean(text: str) -> str:
    """Escape what a terminal would obey, or not show at all."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def short(text: str) -> str:
    """Cut the digests in a text to their first twelve digits, and clean it."""
    return _DIGEST.sub(r"\1", clean(text))


def cut(text: str, most: int) -> str:
    """Cut what is longer than so many characters, with an ellipsis as its last one."""
    return text if len(text) <= most else text[: most - 1] + "…"


def number(count: int, one: str, many: str = "") -> str:
    """So many of something, in its right form; ``many`` is by default ``one`` with an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
