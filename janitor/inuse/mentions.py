"""What stands under ``image`` and ``images`` and names an image, in files and in clusters alike.

What counts is

- a text;
- a mapping of ``registry``, ``repository``, ``tag`` and ``digest``, as charts have it;
- a mapping with ``reference``, as pods' image volumes have it, or with the ``imageRef`` of their status;
- kustomize's overrides (``name``, ``newName``, ``newTag``, ``digest``) and texts (``app=registry/app:1.0``).

Where the tag is decided elsewhere (a template, a chart's default, a ``newName`` without a ``newTag``), which
image is in use isn't known: that is a problem. A text that no runtime could pull protects nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from janitor.core.reference import Reference
from janitor.inuse.interface import Findings

VOLUME_KEYS = ("reference", "imageRef")  # of an image volume of a pod, and of its status

_TEMPLATE = re.compile(r"\{\{|[$<%]")  # none of these can stand in a reference


class Mentions:
    """Takes what stands at such keys into the findings of a source.

    ``unrendered`` and ``undecided`` finish the sentence that says what to do about a template, and about a
    name without tag and digest, which ``owner`` decides. Every ``place`` says where, as messages show it.
    """

    def __init__(self, found: Findings, *, owner: str, unrendered: str, undecided: str) -> None:
        self._found = found
        self._owner = owner
        self._unrendered = unrendered
        self._undecided = undecided

    def text(self, text: str, place: str) -> None:
        """Take ``image: TEXT``."""
        if _TEMPLATE.search(text):
            self.template(text, place)
            return
        try:
            self._found.references[Reference.parse(text)] = None
        except ValueError:
            self._found.unparsed[text] = None

    def template(self, text: str, place: str) -> None:
        """Take what only becomes an image when it is rendered."""
        self._found.problems.append(f"{place}: the image {text!r} is {self._unrendered}")

    def mapping(self, fields: Mapping[str, str], place: str) -> None:
        """Take ``image: {…}``, of which ``fields`` are the texts."""
        for name in VOLUME_KEYS:
            if name in fields:
                self.text(fields[name], place)
        repository = fields.get("repository")
        if repository is None:
            return
        registry = fields.get("registry")
        name = f"{registry}/{repository}" if registry else repository
        self._placed(name, fields, place, tag="tag", decides=self._owner)

    def override(self, item: str | Mapping[str, str], place: str) -> None:
        """Take one entry of ``images``: a text, or the texts of a mapping."""
        if isinstance(item, str):
            old, renamed, new = item.partition("=")
            if renamed:
                self._placed(new, {}, place, tag="", decides="what it overrides")
            else:
                self.text(old, place)
            return
        name = item.get("newName") or item.get("name")
        if name and item.keys() & {"newName", "newTag", "digest"}:
            self._placed(name, item, place, tag="newTag", decides="what it overrides")

    def _placed(self, name: str, fields: Mapping[str, str], place: str, *, tag: str, decides: str) -> None:
        """Take a name whose tag and digest stand beside it."""
        text = name
        if tag in fields:
            text += f":{fields[tag]}"
        if "digest" in fields:
            text += f"@{fields['digest']}"
        if not _TEMPLATE.search(text) and not _is_pinned(text):
            self._found.problems.append(
                f"{place}: {name} has neither tag nor digest here: {decides} decides; {self._undecided}"
            )
            return
        self.text(text, place)


def _is_pinned(text: str) -> bool:
    return "@" in text or ":" in text.rpartition("/")[2]
