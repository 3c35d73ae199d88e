from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from janitor.core.image import Image, ImageType
from janitor.core.pattern import PatternKind, PatternList
from janitor.demo import build_sample
from janitor.errors import FileError
from janitor.providers.interface import Context, RepositoryFilter
from janitor.providers.keys import OciLayoutKeys
from janitor.providers.oci_layout.registry import OciLayout
from tests.factories import registry_spec

EVERYTHING = RepositoryFilter(covered=(PatternList.of(["**"], PatternKind.REPOSITORY),))


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def listed(folder: Path) -> dict[str, tuple[Image, ...]]:
    spec = registry_spec("sample", "oci-layout", OciLayoutKeys(path=str(folder / "registry")))
    registry = OciLayout.open(spec, Context(environ={}))
    return {
        listing.repository: listing.images
        for unit in registry.units(EVERYTHING)
        for listing in registry.list(unit, frozenset())
    }


def test_the_same_instant_gives_the_same_bytes(tmp_path: Path, now: datetime) -> None:
    build_sample(tmp_path / "a", now)
    build_sample(tmp_path / "b", now)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_it_is_small_enough_to_try(tmp_path: Path, now: datetime) -> None:
    build_sample(tmp_path / "a", now)
    assert sum(path.stat().st_size for path in (tmp_path / "a").rglob("*")) < 1_000_000


def test_every_repository_is_a_sound_layout_with_times_before_now(tmp_path: Path, now: datetime) -> None:
    build_sample(tmp_path / "a", now)
    repositories = listed(tmp_path / "a")
    assert set(repositories) == {"base/python", "ci/cache", "services/api", "services/web"}
    for images in repositories.values():
        assert not any(image.locked for image in images)
        assert all(image.created_at is None or image.created_at < now for image in images)


def test_it_has_what_a_clean_up_stumbles_over(tmp_path: Path, now: datetime) -> None:
    build_sample(tmp_path / "a", now)
    api = listed(tmp_path / "a")["services/api"]
    types = {image.type for image in api}
    assert types >= {
        ImageType.IMAGE,
        ImageType.INDEX,
        ImageType.SIGNATURE,
        ImageType.ATTESTATION,
        ImageType.SBOM,
    }
    children = [child for image in api if image.children for child in image.children]
    assert len(children) > len(set(children)), "a platform that two indexes share"
    assert any({"1.2.0", "production"} <= set(image.tags) for image in api)
    assert any(image.subject for image in api)


def test_what_lies_in_the_folder_is_not_overwritten(tmp_path: Path, now: datetime) -> None:
    (tmp_path / "policy.yaml").write_text("mine")
    with pytest.raises(FileError, match="is there already"):
        build_sample(tmp_path, now)
    assert (tmp_path / "policy.yaml").read_text() == "mine"
    assert not (tmp_path / "registry").exists()


def test_a_moment_later_everything_is_a_moment_later(tmp_path: Path, now: datetime) -> None:
    build_sample(tmp_path / "a", now)
    build_sample(tmp_path / "b", now + timedelta(days=3))
    first, second = (
        sorted(image.created_at for image in listed(tmp_path / name)["services/web"] if image.created_at)
        for name in "ab"
    )
    assert [each + timedelta(days=3) for each in first] == second
