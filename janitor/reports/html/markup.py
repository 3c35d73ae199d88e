"""Text that becomes part of a page: whatever comes from outside goes through here; and how pages look."""

from __future__ import annotations

import base64
import hashlib
import html
from pathlib import Path

from janitor.core.legible import clean, cut, short

STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
"""What all pages look like, light and dark."""

# Characters of a name, and of a sentence, that are shown.
_NAME, _SENTENCE = 256, 600


def name(text: str) -> str:
    """Show a name as it is, in letters of one width; what it holds can't turn the text around it."""
    escaped = html.escape(cut(clean(text), _NAME))
    return f"<bdi>{escaped.replace('/', '/<wbr>')}</bdi>"


def words(text: str) -> str:
    """Show a sentence, digests in it shortened."""
    return html.escape(cut(short(text), _SENTENCE))


def content_policy(style: str) -> str:
    """The Content-Security-Policy of a page that has this style within, and nothing else that acts."""
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'"
