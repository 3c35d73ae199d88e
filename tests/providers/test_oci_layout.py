from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from janitor.core.image import Image, ImageType
from janitor.core.pattern import PatternKind, PatternList
from janitor.core.report import OutcomeKind
from janitor.core.units import parse_time
from janitor.errors import Malformed, RegistryError, Unreachable
from janitor.files.layout import Layout
from janitor.providers.interface import Context, RepositoryFilter, Result, Unit
from janitor.providers.keys import OciLayoutKeys
from janitor.providers.oci_layout.registry import OciLayout
from tests.conformance.layout_stage import write_layout
from tests.factories import image, registry_spec
from tests.providers.layouts import MANIFEST, REF_NAME, LayoutFolder
from tests.simulators.world import World

NAME = "team/app"
EVERYTHING = RepositoryFilter(covered=(PatternList.of(["**"], PatternKind.REPOSITORY),))
DELETED, FAILED, REFUSED = OutcomeKind.DELETED, OutcomeKind.FAILED, OutcomeKind.REFUSED


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "layouts"


@pytest.fixture
def layout(root: Path) -> LayoutFolder:
    return LayoutFolder(root / NAME)


@pytest.fixture
def registry(root: Path) -> OciLayout:
    return opened(root)


def opened(root: Path, **spec: Any) -> OciLayout:
    described = registry_spec("local", "oci-layout", OciLayoutKeys(path=str(root)), **spec)
    return OciLayout.open(described, Context(environ={}))


def images(registry: OciLayout, name: str = NAME) -> dict[str, Image]:
    [listing] = registry.list(Unit(name=name), frozenset())
    assert listing.repository == name
    return {image.digest: image for image in listing.images}


def units(registry: OciLayout, wanted: RepositoryFilter = EVERYTHING) -> list[str]:
    return [unit.name for unit in registry.units(wanted)]


def delete(registry: OciLayout, *digests: str) -> dict[str, Result]:
    held = images(registry)
    results = list(registry.delete(NAME, [held[digest] for digest in digests]))
    assert sorted(result.digest for result in results) == sorted(digests)
    return {result.digest: result for result in results}


# --- what there is


def test_every_folder_with_a_marker_is_a_repository_called_by_its_path(root: Path) -> None:
    for name in ("b", "a/deep/one", "a"):
        LayoutFolder(root / name)
    (root / "empty").mkdir()
    assert units(opened(root)) == ["a", "a/deep/one", "b"]


def test_the_folder_itself_is_called_dot(root: Path) -> None:
    layout = LayoutFolder(root)
    digest = layout.list(layout.image("a"), "1.0")
    registry = opened(root)
    assert units(registry) == ["."]
    assert images(registry, ".")[digest].tags == ("1.0",)


def test_repositories_that_nobody_wants_are_not_listed(root: Path) -> None:
    LayoutFolder(root / "ci" / "a")
    LayoutFolder(root / "services" / "b")
    ci = RepositoryFilter(covered=(PatternList.of(["ci/*"], PatternKind.REPOSITORY),))
    assert units(opened(root), ci) == ["ci/a"]
    assert units(opened(root, repositories=("services/b",))) == ["services/b"]


def test_no_symbolic_link_leads_to_a_repository(root: Path, tmp_path: Path) -> None:
    LayoutFolder(tmp_path / "elsewhere")
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "elsewhere")
    registry = opened(root)
    assert units(registry) == []
    with pytest.raises(Malformed, match="symbolic link"):
        images(registry, "link")


def test_the_registrys_folder_itself_may_be_a_symbolic_link(layout: LayoutFolder, tmp_path: Path) -> None:
    digest = layout.list(layout.image("a"), "1.0")
    (tmp_path / "link").symlink_to(layout.folder.parent.parent)
    registry = opened(tmp_path / "link")
    assert units(registry) == [NAME]
    assert set(images(registry)) == {digest}


@pytest.mark.parametrize(
    "name", ["..", "../x", "team/../team/app", "/etc", "", "./team/app", "a\0b", "team//app"]
)
def test_no_name_leads_out_of_the_folder(registry: OciLayout, layout: LayoutFolder, name: str) -> None:
    assert layout.folder.is_dir()
    with pytest.raises(Malformed):
        images(registry, name)


def test_a_missing_folder_is_named(root: Path) -> None:
    with pytest.raises(Unreachable, match="layouts can't be read"):
        units(opened(root))


def test_a_repository_that_vanished_is_empty(root: Path, registry: OciLayout) -> None:
    root.mkdir()
    assert images(registry) == {}
    gone = image("1.0")
    assert registry.tags_now(NAME, [gone]) == {gone.digest: None}
    [result] = registry.delete(NAME, [gone])
    assert result.outcome is DELETED
    assert result.detail == "was gone already"


def test_a_name_that_is_no_text_is_refused(root: Path) -> None:
    LayoutFolder(root / os.fsdecode(b"caf\xe9"))
    with pytest.raises(Malformed, match="UTF-8"):
        units(opened(root))


# --- images


def test_an_image_is_read_with_all_that_its_files_say(registry: OciLayout, layout: LayoutFolder) -> None:
    described = layout.image("a", created="2026-01-02T03:04:05.678901234Z", annotations={"team": "blue"})
    digest = layout.list(described, "1.0", "latest")
    found = images(registry)[digest]
    assert found.tags == ("1.0", "latest")
    assert found.media_type == MANIFEST
    assert found.type is ImageType.IMAGE
    assert found.created_at == parse_time("2026-01-02T03:04:05.678901Z")
    assert found.labels == {"name": "a", "team": "blue"}
    assert found.children == ()
    assert found.pushed_at is None
    manifest = json.loads(layout.path(digest).read_bytes())
    assert found.size_bytes == described["size"] + manifest["config"]["size"] + 1


def test_what_an_index_names_is_listed_untagged(registry: OciLayout, layout: LayoutFolder) -> None:
    platforms = [layout.image("amd"), layout.image("arm")]
    inner = layout.index(platforms[1])
    outer = layout.list(layout.index(platforms[0], inner), "1.0")
    found = images(registry)
    assert found[outer].children == (platforms[0]["digest"], inner["digest"])
    assert found[outer].size_bytes is None
    assert found[inner["digest"]].tags == ()
    assert len(found) == 4


def test_a_child_that_the_layout_does_not_hold_is_no_failure(
    registry: OciLayout, layout: LayoutFolder
) -> None:
    platform = layout.image("amd")
    outer = layout.list(layout.index(platform), "1.0")
    layout.path(platform["digest"]).unlink()
    assert set(images(registry)) == {outer}


def test_a_build_caches_layers_are_no_children(registry: OciLayout, layout: LayoutFolder) -> None:
    layer = layout.blob(b"layer")
    config = layout.blob(b"{}", "application/vnd.buildkit.cacheconfig.v0")
    digest = layout.list(layout.index(layer, config), "cache")
    found = images(registry)
    assert set(found) == {digest}
    assert found[digest].children == ()
    assert found[digest].type is ImageType.CACHE


def test_a_referrer_says_its_subject(registry: OciLayout, layout: LayoutFolder) -> None:
    subject = layout.image("a")
    layout.list(subject, "1.0")
    signature = layout.list(layout.image("signature", subject=subject))
    assert images(registry)[signature].subject == subject["digest"]
    assert images(registry)[signature].tags == ()


@pytest.mark.parametrize(
    ("name", "tag"),
    [("1.0", "1.0"), ("docker.io/library/app:1.0", "1.0"), ("localhost:5000/app:v1_2-x", "v1_2-x")],
)
def test_a_name_is_a_tag_or_a_reference_with_one(
    registry: OciLayout, layout: LayoutFolder, name: str, tag: str
) -> None:
    found = images_of_one(registry, layout, name)
    assert found.tags == (tag,)
    assert not found.locked


@pytest.mark.parametrize(
    "name",
    ["", "docker.io/library/app", "localhost:5000/app", "app@sha256:abc", "a b", ".x", "x" * 129, "app:"],
)
def test_a_name_that_is_no_tag_locks_the_image(registry: OciLayout, layout: LayoutFolder, name: str) -> None:
    found = images_of_one(registry, layout, name)
    assert found.tags == ()
    assert found.locked
    [result] = delete(registry, found.digest).values()
    assert result.outcome is REFUSED
    assert set(images(registry)) == {found.digest}


def images_of_one(registry: OciLayout, layout: LayoutFolder, name: str) -> Image:
    layout.list(layout.image("a"), name)
    [found] = images(registry).values()
    return found


def test_a_tag_on_two_digests_locks_both(registry: OciLayout, layout: LayoutFolder) -> None:
    both = {layout.list(layout.image("a"), "1.0"), layout.list(layout.image("b"), "x/app:1.0")}
    other = layout.list(layout.image("c"), "2.0")
    found = images(registry)
    assert {digest for digest in found if found[digest].locked} == both
    assert found[other].tags == ("2.0",)
    results = delete(registry, *both)
    assert {result.outcome for result in results.values()} == {REFUSED}


def test_what_docker_save_wrote_is_locked(registry: OciLayout, layout: LayoutFolder) -> None:
    digest = layout.list(layout.image("a"), "1.0")
    (layout.folder / "manifest.json").write_text("[]")
    assert images(registry)[digest].locked
    assert delete(registry, digest)[digest].outcome is REFUSED


def test_an_index_without_media_type_is_one(registry: OciLayout, layout: LayoutFolder) -> None:
    layout.list(layout.image("a"), "1.0")
    body = layout.read()
    del body["mediaType"]
    layout.write(body)
    assert len(images(registry)) == 1


def test_times_that_nobody_can_read_are_unknown(registry: OciLayout, layout: LayoutFolder) -> None:
    digest = layout.list(layout.image("a", created="yesterday"), "1.0")
    assert images(registry)[digest].created_at is None


def test_a_configuration_that_is_missing_leaves_time_and_labels_unknown(
    registry: OciLayout, layout: LayoutFolder
) -> None:
    digest = layout.list(layout.image("a", created="2026-01-02T03:04:05Z"), "1.0")
    layout.path(json.loads(layout.path(digest).read_bytes())["config"]["digest"]).unlink()
    assert images(registry)[digest].created_at is None
    assert images(registry)[digest].labels is None


# --- closed when in doubt


def break_manifest(layout: LayoutFolder, digest: str) -> None:
    layout.path(digest).write_bytes(layout.path(digest).read_bytes() + b" ")


def drop_manifest(layout: LayoutFolder, digest: str) -> None:
    layout.path(digest).unlink()


def link_manifest(layout: LayoutFolder, digest: str) -> None:
    path = layout.path(digest)
    path.rename(layout.folder / "moved")
    path.symlink_to(layout.folder / "moved")


def pipe_manifest(layout: LayoutFolder, digest: str) -> None:
    layout.path(digest).unlink()
    os.mkfifo(layout.path(digest))


def huge_manifest(layout: LayoutFolder, digest: str) -> None:
    with layout.path(digest).open("r+b") as stream:
        stream.truncate(2**40)


def break_configuration(layout: LayoutFolder, digest: str) -> None:
    break_manifest(layout, json.loads(layout.path(digest).read_bytes())["config"]["digest"])


def drop_index(layout: LayoutFolder, _: str) -> None:
    (layout.folder / "index.json").unlink()


def tear_index(layout: LayoutFolder, _: str) -> None:
    path = layout.folder / "index.json"
    path.write_bytes(path.read_bytes()[:-9])


def ambiguous_index(layout: LayoutFolder, _: str) -> None:
    layout.write(layout.read() | {"layers": []})


def no_index(layout: LayoutFolder, _: str) -> None:
    layout.write({"schemaVersion": 2})


def link_index(layout: LayoutFolder, _: str) -> None:
    path = layout.folder / "index.json"
    path.rename(layout.folder / "moved")
    path.symlink_to("moved")


def link_blobs(layout: LayoutFolder, _: str) -> None:
    path = layout.folder / "blobs"
    path.rename(layout.folder.parent / "moved")
    path.symlink_to(layout.folder.parent / "moved")


def strange_digest(layout: LayoutFolder, _: str) -> None:
    body = layout.read()
    body["manifests"].append({"mediaType": MANIFEST, "digest": "sha256:../../x", "size": 1})
    layout.write(body)


def typeless_descriptor(layout: LayoutFolder, _: str) -> None:
    body = layout.read()
    del body["manifests"][0]["mediaType"]
    layout.write(body)


def future_version(layout: LayoutFolder, _: str) -> None:
    (layout.folder / "oci-layout").write_text('{"imageLayoutVersion":"2.0.0"}')


FAULTS = (
    break_manifest,
    drop_manifest,
    link_manifest,
    pipe_manifest,
    huge_manifest,
    break_configuration,
    drop_index,
    tear_index,
    ambiguous_index,
    no_index,
    link_index,
    link_blobs,
    strange_digest,
    typeless_descriptor,
    future_version,
)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_layout_that_can_not_be_read_whole_is_not_listed(
    registry: OciLayout, layout: LayoutFolder, fault: Any
) -> None:
    digest = layout.list(layout.image("a"), "1.0")
    fault(layout, digest)
    with pytest.raises(RegistryError):
        images(registry)


def test_a_manifest_that_could_be_read_in_two_ways_is_refused(
    registry: OciLayout, layout: LayoutFolder
) -> None:
    layout.list(layout.image("a", manifests=[]), "1.0")
    with pytest.raises(Malformed, match="two ways"):
        images(registry)


# --- deleting


def test_an_image_goes_with_its_blobs(registry: OciLayout, layout: LayoutFolder) -> None:
    going = layout.list(layout.image("a"), "pr-1", "pr-2")
    staying = layout.list(layout.image("b"), "1.0")
    assert delete(registry, going)[going] == Result(digest=going, outcome=DELETED)
    assert set(images(registry)) == {staying}
    assert [entry["digest"] for entry in layout.read()["manifests"]] == [staying]
    manifest = json.loads(layout.path(staying).read_bytes())
    assert layout.blobs() == {staying, manifest["config"]["digest"], manifest["layers"][0]["digest"]}


def test_a_blob_that_another_image_holds_stays(registry: OciLayout, layout: LayoutFolder) -> None:
    base = layout.blob(b"base")
    going = layout.list(layout.image("a", layers=[base]), "pr-1")
    layout.list(layout.image("b", layers=[base]), "1.0")
    delete(registry, going)
    assert base["digest"] in layout.blobs()
    assert going not in layout.blobs()


def test_an_index_goes_with_the_children_that_were_asked_for(
    registry: OciLayout, layout: LayoutFolder
) -> None:
    amd, arm = layout.image("amd"), layout.image("arm")
    outer = layout.list(layout.index(amd, arm), "pr-1")
    results = delete(registry, outer, amd["digest"], arm["digest"])
    assert {result.outcome for result in results.values()} == {DELETED}
    assert layout.blobs() == set()


def test_a_child_that_nobody_asked_for_is_listed_on_its_own(
    registry: OciLayout, layout: LayoutFolder
) -> None:
    amd, arm = layout.image("amd"), layout.image("arm")
    outer = layout.list(layout.index(amd, layout.index(arm)), "pr-1")
    assert delete(registry, outer)[outer].outcome is DELETED
    found = images(registry)
    assert amd["digest"] in found
    assert arm["digest"] in found
    assert outer not in found


def test_a_child_of_an_index_that_stays_is_not_deleted(registry: OciLayout, layout: LayoutFolder) -> None:
    amd = layout.image("amd")
    old, new = layout.list(layout.index(amd), "pr-1"), layout.list(layout.index(amd, annotations={}), "1.0")
    layout.list(amd)
    results = delete(registry, old, amd["digest"])
    assert results[old].outcome is DELETED
    assert results[amd["digest"]].outcome is FAILED
    assert results[amd["digest"]].detail == "is named by an index that stays"
    assert set(images(registry)) == {new, amd["digest"]}
    assert amd["digest"] in [entry["digest"] for entry in layout.read()["manifests"]]


def test_an_image_that_got_a_tag_meanwhile_stays(registry: OciLayout, layout: LayoutFolder) -> None:
    described = layout.image("a")
    digest = layout.list(described, "pr-1")
    listed = images(registry)[digest]
    layout.list(described, "prod")
    [result] = registry.delete(NAME, [listed])
    assert result.outcome is FAILED
    assert result.detail == "has got prod meanwhile"
    assert images(registry)[digest].tags == ("pr-1", "prod")


def test_what_was_pushed_since_the_listing_stays(registry: OciLayout, layout: LayoutFolder) -> None:
    going = layout.list(layout.image("a"), "pr-1")
    listed = images(registry)[going]
    new = layout.list(layout.image("b"), "2.0")
    list(registry.delete(NAME, [listed]))
    assert set(images(registry)) == {new}


def test_what_nobody_knows_in_the_index_stays_as_it_was(registry: OciLayout, layout: LayoutFolder) -> None:
    going = layout.list(layout.image("a"), "pr-1")
    staying = layout.image("b") | {"platform": {"os": "linux"}, "x-own": [12345678901234567890]}
    layout.list(staying, "1.0")
    layout.write({"x-first": {"deep": [None, 1.5]}, **layout.read(), "annotations": {"a": "b"}})
    delete(registry, going)
    body = layout.read()
    assert list(body) == ["x-first", "schemaVersion", "mediaType", "manifests", "annotations"]
    assert body["x-first"] == {"deep": [None, 1.5]}
    assert body["manifests"] == [staying | {"annotations": {REF_NAME: "1.0"}}]


def test_the_index_keeps_its_mode_and_nothing_is_left_beside_it(
    registry: OciLayout, layout: LayoutFolder
) -> None:
    digest = layout.list(layout.image("a"), "pr-1")
    (layout.folder / "index.json").chmod(0o664)
    delete(registry, digest)
    assert stat.S_IMODE((layout.folder / "index.json").stat().st_mode) == 0o664
    assert {each.name for each in layout.folder.iterdir()} == {"blobs", "index.json", "oci-layout"}


@pytest.mark.parametrize("fault", [break_manifest, drop_manifest])
def test_nothing_is_changed_where_a_manifest_that_stays_is_wrong(
    registry: OciLayout, layout: LayoutFolder, fault: Any
) -> None:
    going = layout.list(layout.image("a"), "pr-1")
    staying = layout.list(layout.image("b"), "1.0")
    listed = images(registry)[going]
    fault(layout, staying)
    before = layout.read()
    with pytest.raises(RegistryError):
        list(registry.delete(NAME, [listed]))
    assert layout.read() == before
    assert going in layout.blobs()


def test_no_blob_goes_where_a_child_is_missing(registry: OciLayout, layout: LayoutFolder) -> None:
    """What the missing manifest would hold is unknown: it may be what was released."""
    going = layout.list(layout.image("a"), "pr-1")
    child = layout.image("amd")
    layout.list(layout.index(child), "1.0")
    layout.path(child["digest"]).unlink()
    result = delete(registry, going)[going]
    assert result.outcome is DELETED
    assert result.detail is not None
    assert "no blob was removed" in result.detail
    assert going in layout.blobs()


def test_no_blob_goes_where_something_of_an_unknown_type_is_named(
    registry: OciLayout, layout: LayoutFolder
) -> None:
    going = layout.list(layout.image("a"), "pr-1")
    layout.list(layout.blob(b"<x/>", "application/xml"))
    result = delete(registry, going)[going]
    assert result.outcome is DELETED
    assert going in layout.blobs()


def test_no_blob_goes_where_a_manifest_of_schema_1_is(registry: OciLayout, layout: LayoutFolder) -> None:
    going = layout.list(layout.image("a"), "pr-1")
    layer = layout.blob(b"layer")
    body = {"schemaVersion": 1, "fsLayers": [{"blobSum": layer["digest"]}], "history": [], "signatures": []}
    media_type = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    layout.list(layout.blob(json.dumps(body).encode(), media_type), "old")
    delete(registry, going)
    assert layer["digest"] in layout.blobs()


def test_blobs_that_nobody_released_go_only_when_they_are_old(
    registry: OciLayout, layout: LayoutFolder
) -> None:
    """A writer puts blobs first and the index last."""
    going = layout.list(layout.image("a"), "pr-1")
    old, young = layout.blob(b"old")["digest"], layout.blob(b"young")["digest"]
    layout.age(young, days=0.5)
    delete(registry, going)
    assert layout.blobs() == {young}
    assert old not in layout.blobs()


def test_only_what_is_called_by_a_digest_is_a_blob(registry: OciLayout, layout: LayoutFolder) -> None:
    going = layout.list(layout.image("a"), "pr-1")
    folder = layout.folder / "blobs" / "sha256"
    hexadecimal = "0" * 64
    (folder / "upload.tmp").write_text("")
    (folder / hexadecimal.replace("0", "A")).write_text("")
    (folder / hexadecimal).mkdir()
    (folder / hexadecimal.replace("0", "1")).symlink_to(layout.folder / "oci-layout")
    for each in folder.iterdir():
        os.utime(each, (0, 0), follow_symlinks=False)
    delete(registry, going)
    assert len(list(folder.iterdir())) == 4


def test_another_writer_in_between_is_seen_and_not_overwritten(
    registry: OciLayout, layout: LayoutFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = layout.list(layout.image("a"), "pr-1")
    listed = images(registry)[going]
    replace = Layout.replace_index
    pushed: list[str] = []

    def push_then_replace(self: Layout, old: Any, body: bytes) -> None:
        if not pushed:
            pushed.append(layout.list(layout.image("new"), "2.0"))
        replace(self, old, body)

    monkeypatch.setattr(Layout, "replace_index", push_then_replace)
    [result] = registry.delete(NAME, [listed])
    assert result.outcome is DELETED
    assert set(images(registry)) == set(pushed)


def test_a_writer_that_never_rests_is_left_alone(
    registry: OciLayout, layout: LayoutFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = layout.list(layout.image("a"), "pr-1")
    listed = images(registry)[going]
    replace = Layout.replace_index

    def push_then_replace(self: Layout, old: Any, body: bytes) -> None:
        layout.list(layout.image("new"), f"2.{len(layout.read()['manifests'])}")
        replace(self, old, body)

    monkeypatch.setattr(Layout, "replace_index", push_then_replace)
    [result] = registry.delete(NAME, [listed])
    assert result.outcome is FAILED
    assert going in images(registry)


def test_deleting_again_finds_it_gone(registry: OciLayout, layout: LayoutFolder) -> None:
    digest = layout.list(layout.image("a"), "pr-1")
    listed = images(registry)[digest]
    list(registry.delete(NAME, [listed]))
    [result] = registry.delete(NAME, [listed])
    assert result == Result(digest=digest, outcome=DELETED, detail="was gone already")


# --- tags


def test_tags_are_read_as_they_are_now(registry: OciLayout, layout: LayoutFolder) -> None:
    described = layout.image("a")
    digest = layout.list(described, "pr-1")
    gone, child = image("gone"), layout.image("amd")
    layout.list(layout.index(child), "1.0")
    held = images(registry)
    layout.list(described, "x/app:prod")
    answer = registry.tags_now(NAME, [held[digest], gone, held[child["digest"]]])
    assert answer == {digest: frozenset({"pr-1", "prod"}), gone.digest: None, child["digest"]: frozenset()}


def test_a_tag_is_taken_off_and_the_image_stays(registry: OciLayout, layout: LayoutFolder) -> None:
    digest = layout.list(layout.image("a"), "1.0", "pr-1", "docker.io/x/app:pr-1")
    result = registry.untag(NAME, images(registry)[digest], ["pr-1"])
    assert result.outcome is OutcomeKind.UNTAGGED
    assert images(registry)[digest].tags == ("1.0",)
    blobs = layout.blobs()
    assert registry.untag(NAME, images(registry)[digest], ["pr-1"]).detail == "was off already"
    assert layout.blobs() == blobs


def test_the_last_tag_is_not_taken_off(registry: OciLayout, layout: LayoutFolder) -> None:
    digest = layout.list(layout.image("a"), "1.0", "pr-1")
    result = registry.untag(NAME, images(registry)[digest], ["1.0", "pr-1"])
    assert result.outcome is FAILED
    assert images(registry)[digest].tags == ("1.0", "pr-1")


def test_a_tag_that_moved_is_left_where_it_is(registry: OciLayout, layout: LayoutFolder) -> None:
    old = layout.list(layout.image("a"), "1.0", "edge")
    listed = images(registry)[old]
    body = layout.read()
    layout.write(body | {"manifests": body["manifests"][:1]})
    new = layout.list(layout.image("b"), "edge")
    registry.untag(NAME, listed, ["edge"])
    assert images(registry)[new].tags == ("edge",)


def test_blobs_of_sha512_are_verified_and_swept(registry: OciLayout, layout: LayoutFolder) -> None:
    described = layout.image("a")
    body = layout.path(described["digest"]).read_bytes()
    layout.path(described["digest"]).unlink()
    digest = f"sha512:{hashlib.sha512(body).hexdigest()}"
    (layout.folder / "blobs" / "sha512").mkdir()
    layout.path(digest).write_bytes(body)
    layout.list(described | {"digest": digest}, "1.0")
    assert set(images(registry)) == {digest}
    delete(registry, digest)
    assert not layout.path(digest).exists()


# --- bringing back ----------------------------------------------------------------------------------------


def test_an_image_whose_blobs_another_holds_comes_back_with_its_free_tags(tmp_path: Path) -> None:
    world = World()
    one = world.push("a", tags=["1", "one"], text="same", created="9d")
    world.push("a", tags=["2"], text="same", created="9d", annotations={"other": "manifest"})
    write_layout(tmp_path / "a", world["a"], world)
    registry = opened(tmp_path)
    (image,) = [each for each in listed(registry) if each.digest == one]
    kept = registry.keepsakes("a", [image])[one]
    list(registry.delete("a", [image]))
    assert one not in {each.digest for each in listed(registry)}
    (result,) = registry.restore("a", [kept])
    assert result.outcome is OutcomeKind.RESTORED
    (back,) = [each for each in listed(registry) if each.digest == one]
    assert back == image


def test_an_image_whose_layers_went_with_it_does_not_come_back_and_says_what_is_gone(tmp_path: Path) -> None:
    world = World()
    one = world.push("a", tags=["1"])
    world.push("a", tags=["2"])
    write_layout(tmp_path / "a", world["a"], world)
    registry = opened(tmp_path)
    images = [each for each in listed(registry) if each.digest == one]
    kept = registry.keepsakes("a", images)
    list(registry.delete("a", images))
    before = (tmp_path / "a" / "index.json").read_bytes()
    (result,) = registry.restore("a", [kept[one]])
    assert result.outcome is OutcomeKind.REFUSED
    assert "is gone: sha256:" in (result.detail or "")
    assert (tmp_path / "a" / "index.json").read_bytes() == before


def test_a_platform_that_came_back_stands_where_it_stood(tmp_path: Path) -> None:
    world = World()
    platform = world.push("a", text="same", created="9d")
    world.push_index("a", children=[platform], tags=["1"])
    world.push("a", tags=["2"], text="same", created="9d", annotations={"other": "manifest"})
    write_layout(tmp_path / "a", world["a"], world)
    registry = opened(tmp_path)
    before = listed(registry)
    images = [each for each in before if "2" not in each.tags]
    kept = registry.keepsakes("a", images)
    list(registry.delete("a", images))
    results = list(registry.restore("a", list(kept.values())))
    assert {each.outcome for each in results} == {OutcomeKind.RESTORED}
    assert {each.digest: each.tags for each in listed(registry)} == {
        each.digest: each.tags for each in before
    }


def listed(registry: OciLayout) -> tuple[Image, ...]:
    (listing,) = registry.list(Unit(name="a"), frozenset())
    return listing.images
