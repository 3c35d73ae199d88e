"""From registries to an inventory file: the listing alone, written down."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO

import msgspec

from janitor.core.report import ErrorReport
from janitor.core.tally import exit_code
from janitor.errors import RegistryError, Stopped
from janitor.files.atomic import replacing
from janitor.files.inventoryfile import write_images
from janitor.listing import listings, unread
from janitor.opening import load_policies
from janitor.premises import Opened
from janitor.progress import Progress
from janitor.providers.interface import Field
from janitor.settings import Settings, Stop, check_writable, ground


class InventoryResult(msgspec.Struct, frozen=True, kw_only=True):
    """What of an inventory was written, and what could not be read."""

    repositories: int
    images: int
    errors: tuple[ErrorReport, ...] = ()
    exit_code: int = 0


def write_inventory(
    settings: Settings,
    environ: Mapping[str, str],
    path: str,
    *,
    stop: Stop,
    clock: Callable[[], datetime],
    progress: Progress,
) -> InventoryResult:
    """Write what the registries hold to an inventory file.

    A repository that can't be read is left out, and named; one that is interrupted leaves the file as it was.
    """
    policies = load_policies(settings.policies, environ)
    check_writable((path,))
    run_id = f"{clock():%Y%m%dT%H%M%SZ}-inventory-{secrets.token_hex(3)}"
    with ground(settings, policies, environ, run_id, stop) as on:
        errors = on.errors
        repositories = images = 0
        try:
            with replacing(Path(path)) as stream:
                repositories, images = _written(on.opened, stream, errors, stop, progress)
        except Stopped as error:
            errors.append(ErrorReport(code=error.code, message=error.message))
    code = exit_code((), errors=bool(errors), limited=False, signal=stop.signal)
    return InventoryResult(repositories=repositories, images=images, errors=tuple(errors), exit_code=code)


def _written(
    opened: Sequence[Opened], stream: IO[bytes], errors: list[ErrorReport], stop: Stop, progress: Progress
) -> tuple[int, int]:
    """Write every repository; returned is how many these are, and their images. Raises Stopped."""
    repositories = images = 0
    progress.started(None, "listing")
    for one in opened:
        everything = msgspec.structs.replace(one, wanted=frozenset(Field))
        for unit, event in listings(everything, stop):
            if isinstance(event, RegistryError):
                errors.append(unread(one, unit, event))
                continue
            write_images(stream, one.spec.name, event.repository, event.images)
            repositories += 1
            images += len(event.images)
            progress.advanced(f"{one.spec.name}/{event.repository}", len(event.images))
    progress.finished()
    if stop.is_set():
        raise Stopped("interrupted: the file is as it was")
    return repositories, images
