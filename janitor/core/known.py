"""What was read of a manifest, as a value that may be kept for good.

A manifest never changes under its digest, so what was read of it once needn't be read again. ``files`` keeps
these values in the state folder, a provider recalls them before it asks its registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from janitor.core.image import ImageType


class Known(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything that was read of one manifest, by its digest.

    ``children``: digests that an index names, in its order; empty of anything else.
    ``size_bytes``: manifest, config and layers; ``None`` of an index, and where layers have no sizes.
    ``annotations``: the manifest's own. ``config_digest``: of an image configuration that could be read for
    ``created_at`` and ``labels``; ``None`` where there is none worth reading.
    ``labels``: the configuration's labels under the manifest's annotations; ``None`` as long as there is a
    configuration that was not read. ``created_at``: as precise as what was read; ``None`` where unsaid.
    ``type``: told from the manifest alone, without its tags.
    """

    media_type: str | None = None
    artifact_type: str | None = None
    type: ImageType | None = None
    children: tuple[str, ...] = ()
    subject: str | None = None
    created_at: datetime | None = None
    size_bytes: int | None = None
    annotations: Mapping[str, str] = {}
    config_digest: str | None = None
    labels: Mapping[str, str] | None = None
