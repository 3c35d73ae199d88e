"""Every key of a file of policy tests as data, and the words for what can keep an image beside a rule."""

from __future__ import annotations

from janitor.core.image import ImageType
from janitor.policyfile.keys import Key, Kind, table

# What can keep an image beside a rule, as ``by`` names it.
PROTECTIONS = ("protect", "protect.tags", "protect.images", "in_use", "latest", "lock", "grace", "shape")

TEST_FILE = table(
    Key(name="version", kind=Kind.VERSION, required=True, doc="the version of the language: 1"),
    Key(
        name="policies", kind=Kind.PATHS, required=True, doc="policy files or folders, relative to this file"
    ),
    Key(name="now", kind=Kind.INSTANT, required=True, doc="the instant at which everything is decided"),
    Key(name="tests", kind=Kind.BLOCKS, required=True, doc="the tests"),
)
TEST_CASE = table(
    Key(name="name", kind=Kind.NAME, required=True, doc="what is tested"),
    Key(name="repository", kind=Kind.TEXT, required=True, doc="which repository it is"),
    Key(name="registry", kind=Kind.TEXT, doc="of which registry; default: the first that the policy names"),
    Key(name="in_use", kind=Kind.TEXTS, doc='references in use; "…/" in front stands for any host'),
    Key(name="images", kind=Kind.BLOCKS, required=True, doc="what the repository holds"),
)
TEST_IMAGE = table(
    Key(name="id", kind=Kind.TEXT, doc="a name for children and subject"),
    Key(name="digest", kind=Kind.TEXT, doc="its digest; default: made from the id or the place"),
    Key(name="tags", kind=Kind.TEXTS, doc="its tags; none: untagged"),
    Key(name="pushed", kind=Kind.INSTANT, doc="an age before now, or a time"),
    Key(name="created", kind=Kind.INSTANT, doc="an age before now, or a time"),
    Key(name="pulled", kind=Kind.INSTANT, doc="an age before now, a time, or never"),
    Key(name="tagged", kind=Kind.INSTANT, doc="an age before now, or a time"),
    Key(name="archived", kind=Kind.INSTANT, doc="since when it is in the archive class"),
    Key(name="size", kind=Kind.SIZE, doc="its size"),
    Key(name="type", kind=Kind.CHOICE, choices=tuple(ImageType), doc="default: as its media types say"),
    Key(name="media_type", kind=Kind.TEXT, doc="its media type"),
    Key(name="artifact_type", kind=Kind.TEXT, doc="its artifact type"),
    Key(name="labels", kind=Kind.BLOCK, doc="its labels and annotations"),
    Key(name="children", kind=Kind.TEXTS, doc="ids or digests of what the index holds"),
    Key(name="subject", kind=Kind.TEXT, doc="id or digest of what it refers to"),
    Key(name="locked", kind=Kind.BOOLEAN, doc="the registry refuses to delete it"),
    Key(
        name="expect",
        kind=Kind.CHOICE,
        choices=("keep", "delete", "untag", "archive"),
        doc="what becomes of it (default keep)",
    ),
    Key(name="by", kind=Kind.TEXT, doc="the rule, or the protection, that decided"),
    Key(name="remove_tags", kind=Kind.TEXTS, doc="the tags that come off, of an untag"),
)
