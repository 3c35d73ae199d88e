"""The ``.html`` report: one file that people look at, without a script and without a request to anywhere.

- Whatever comes from outside is escaped, and a Content-Security-Policy allows nothing but the page's own
  style: text that slipped through could not act.
- It stays below two million bytes whatever the size of the plan: repositories, rules and ages are summed up,
  and of single images as many are shown as somebody may look at. What was left out is counted at the end.
"""

from __future__ import annotations

from janitor.reports.html.markup import STYLE, content_policy, name, words
from janitor.reports.html.page import render

__all__ = ["STYLE", "content_policy", "name", "render", "words"]
