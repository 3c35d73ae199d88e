"""Text that becomes part of a page: whatever comes from outside goes through here."""

from __future__ import annotations

import html

from janitor.core.legible import clean, cut, short

# Characters of a name, and of a sentence, that are shown.
_NAME, _SENTENCE = 256, 600


def name(text: str) -> str:
    """Show a name as it is, in letters of one width; what it holds can't turn the text around it."""
    escaped = html.escape(cut(clean(text), _NAME))
    return f"<bdi>{escaped.replace('/', '/<wbr>')}</bdi>"


def words(text: str) -> str:
    """Show a sentence, digests in it shortened."""
    return html.escape(cut(short(text), _SENTENCE))
