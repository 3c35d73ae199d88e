from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from janitor.core.use import SourceReading
from janitor.inuse.interface import Context
from janitor.inuse.keys import ManifestsKeys
from janitor.inuse.manifests import ManifestsSource

SHA = "sha256:" + "a" * 64


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    folder = tmp_path / "deploy"
    folder.mkdir()
    return folder


def read(*patterns: Path | str, allow_empty: bool = False) -> SourceReading:
    source = ManifestsSource(ManifestsKeys(manifests=tuple(map(str, patterns))))
    return source.read(Context(), allow_empty=allow_empty)


def read_text(folder: Path, text: str, name: str = "app.yaml") -> SourceReading:
    path = folder / name
    path.write_text(text)
    return read(path)


def names(reading: SourceReading) -> set[str]:
    assert reading.error is None
    return set(map(str, reading.references))


def test_every_image_key_counts_at_any_depth_of_every_document(deploy: Path) -> None:
    reading = read_text(
        deploy,
        """
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      initContainers: [{name: wait, image: "ghcr.io/acme/wait:1"}]
      containers:
      - name: app
        image: ghcr.io/acme/app:1.10
---
kind: List
items:
- kind: CronJob
  spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: busybox}]}}}}}
""",
    )
    assert names(reading) == {
        "ghcr.io/acme/wait:1",
        "ghcr.io/acme/app:1.10",
        "docker.io/library/busybox:latest",
    }


def test_a_digest_beside_a_tag_is_kept(deploy: Path) -> None:
    assert names(read_text(deploy, f"image: ghcr.io/acme/app:1@{SHA}")) == {f"ghcr.io/acme/app:1@{SHA}"}


@pytest.mark.parametrize(
    ("helm", "reference"),
    [
        ("{repository: ghcr.io/acme/app, tag: 1.10}", "ghcr.io/acme/app:1.10"),
        ("{registry: ghcr.io, repository: acme/app, tag: '2'}", "ghcr.io/acme/app:2"),
        (f"{{repository: ghcr.io/acme/app, tag: '', digest: '{SHA}'}}", f"ghcr.io/acme/app@{SHA}"),
        (f"{{repository: ghcr.io/acme/app, tag: '1', digest: '{SHA}'}}", f"ghcr.io/acme/app:1@{SHA}"),
        ("{registry: null, repository: ghcr.io/acme/app, tag: 1}", "ghcr.io/acme/app:1"),
        ("{repository: 'ghcr.io/acme/app:3'}", "ghcr.io/acme/app:3"),
    ],
)
def test_helms_mapping_is_put_together(deploy: Path, helm: str, reference: str) -> None:
    assert names(read_text(deploy, f"values:\n  image: {helm}\n")) == {reference}


def test_a_helm_mapping_may_merge_an_anchor(deploy: Path) -> None:
    text = "base: &base {repository: ghcr.io/acme/app, tag: 1}\nimage: {<<: *base, tag: 2}\n"
    assert names(read_text(deploy, text)) == {"ghcr.io/acme/app:2"}


def test_a_tag_left_to_the_chart_closes(deploy: Path) -> None:
    reading = read_text(deploy, "image:\n  repository: ghcr.io/acme/app\n  tag: ''\n")
    assert reading.error is not None
    assert reading.error.startswith(f"{deploy}/app.yaml:2: ")
    assert "the chart decides; render it first" in reading.error


def test_kustomize_overrides_count(deploy: Path) -> None:
    reading = read_text(
        deploy,
        f"""
images:
- {{name: app, newName: ghcr.io/acme/app, newTag: 1.2.0}}
- {{name: ghcr.io/acme/web, newTag: "3"}}
- {{name: ghcr.io/acme/db, digest: "{SHA}"}}
- app=ghcr.io/acme/argo:4
- ghcr.io/acme/plain:5
""",
        "kustomization.yaml",
    )
    assert names(reading) == {
        "ghcr.io/acme/app:1.2.0",
        "ghcr.io/acme/web:3",
        f"ghcr.io/acme/db@{SHA}",
        "ghcr.io/acme/argo:4",
        "ghcr.io/acme/plain:5",
    }


@pytest.mark.parametrize("item", ["{name: app, newName: ghcr.io/acme/app}", "app=ghcr.io/acme/app"])
def test_a_kustomize_override_without_a_tag_closes(deploy: Path, item: str) -> None:
    reading = read_text(deploy, f"images: [{item}]", "kustomization.yaml")
    assert reading.error is not None
    assert "render it first" in reading.error


def test_what_a_list_called_images_holds_otherwise_is_walked_through(deploy: Path) -> None:
    assert names(read_text(deploy, "images: [{name: a, image: ghcr.io/acme/app:1}, [x], null]")) == {
        "ghcr.io/acme/app:1"
    }


def test_json_is_read_too(deploy: Path) -> None:
    document = {"items": [{"image": "ghcr.io/acme/app:1"}, {"icon": "😀"}, {"n": 1.5, "z": None, "b": True}]}
    assert names(read_text(deploy, json.dumps(document, indent="\t"), "list.json")) == {"ghcr.io/acme/app:1"}


def test_json_that_says_a_key_twice_counts_twice(deploy: Path) -> None:
    text = '{"image": "ghcr.io/acme/a:1", "image": "ghcr.io/acme/b:1"}'
    assert names(read_text(deploy, text, "x.json")) == {"ghcr.io/acme/a:1", "ghcr.io/acme/b:1"}


def test_yaml_that_says_a_key_twice_counts_twice(deploy: Path) -> None:
    text = "image: ghcr.io/acme/a:1\nimage: ghcr.io/acme/b:1\n"
    assert names(read_text(deploy, text)) == {"ghcr.io/acme/a:1", "ghcr.io/acme/b:1"}


def test_aliases_and_cycles_are_walked_once(deploy: Path) -> None:
    bomb = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    text = f"a0: &a0 {{image: ghcr.io/acme/app:1}}\n{bomb}loop: &loop {{again: *loop}}\n"
    assert names(read_text(deploy, text)) == {"ghcr.io/acme/app:1"}


def test_an_aliased_text_is_an_image_too(deploy: Path) -> None:
    assert names(read_text(deploy, "x: &x ghcr.io/acme/app:1\nimage: *x\n")) == {"ghcr.io/acme/app:1"}


def test_unknown_tags_are_passed_over_and_nothing_is_constructed(deploy: Path) -> None:
    text = "!Mapping\nimage: !Sub ghcr.io/acme/app:1\nevil: !!python/object/apply:os.abort []\n"
    assert names(read_text(deploy, text)) == {"ghcr.io/acme/app:1"}


@pytest.mark.parametrize("value", ["", "null", "~", "''", "{type: string}", "[]"])
def test_an_image_key_that_holds_no_image_is_nothing(deploy: Path, value: str) -> None:
    reading = read_text(deploy, f"image: {value}\nother: 1\n")
    assert reading.error is None
    assert reading.references == ()
    assert reading.unparsed == ()


def test_a_text_that_no_runtime_could_pull_is_told_and_closes_nothing(deploy: Path) -> None:
    reading = read_text(deploy, "image: https://example.com/Logo.png\n")
    assert reading.error is None
    assert reading.unparsed == ("https://example.com/Logo.png",)


@pytest.mark.parametrize(
    "value",
    [
        '"{{ .Values.image }}"',
        "{{ .Values.image }}",
        "ghcr.io/acme/app:${TAG}",
        "ghcr.io/acme/app:$(TAG)",
        "ghcr.io/acme/app:<tag>",
        "{repository: ghcr.io/acme/app, tag: '{{ .Tag }}'}",
    ],
)
def test_an_unrendered_image_closes_and_says_to_render(deploy: Path, value: str) -> None:
    reading = read_text(deploy, f"kind: Pod\nimage: {value}\n")
    assert reading.error is not None
    assert reading.error.startswith(f"{deploy}/app.yaml:2: ")
    assert "render templates first" in reading.error


def test_a_template_that_is_no_yaml_closes_and_says_to_render(deploy: Path) -> None:
    reading = read_text(deploy, "a: 1\n{{- if .Values.on }}\nimage: x\n{{- end }}\n")
    assert reading.error is not None
    assert "render it first" in reading.error


@pytest.mark.parametrize(
    ("text", "name", "line"),
    [
        ("a: 1\nb: [1\n", "app.yaml", 3),
        ("a: 1\nb: *nowhere\n", "app.yaml", 2),
        ("a: 1\nb: \x07\n", "app.yaml", 2),
        ('{\n"a": 1,\n}', "app.json", 3),
        ("", "app.json", 1),
    ],
)
def test_what_cannot_be_parsed_closes_with_file_and_line(
    deploy: Path, text: str, name: str, line: int
) -> None:
    reading = read_text(deploy, text, name)
    assert reading.error is not None
    assert reading.error.startswith(f"{deploy}/{name}:{line}: it is no ")


@pytest.mark.parametrize("name", ["app.yaml", "app.json"])
def test_absurd_nesting_closes(deploy: Path, name: str) -> None:
    reading = read_text(deploy, "[" * 200_000, name)
    assert reading.error is not None


def test_what_is_no_utf8_closes(deploy: Path) -> None:
    (deploy / "app.yaml").write_bytes(b"image: \xff\n")
    assert "UTF-8" in str(read(deploy / "app.yaml").error)


def test_a_byte_order_mark_and_crlf_are_fine(deploy: Path) -> None:
    (deploy / "app.yaml").write_bytes(b"\xef\xbb\xbfimage: ghcr.io/acme/app:1\r\nb: 2\r\n")
    assert names(read(deploy / "app.yaml")) == {"ghcr.io/acme/app:1"}


def test_one_bad_file_closes_and_the_others_still_protect(deploy: Path) -> None:
    (deploy / "a.yaml").write_text("image: [\n")
    (deploy / "b.yaml").write_text("image: ghcr.io/acme/app:1\n")
    reading = read(deploy / "*.yaml")
    assert reading.error is not None
    assert [str(reference) for reference in reading.references] == ["ghcr.io/acme/app:1"]


def test_problems_beyond_three_are_counted(deploy: Path) -> None:
    for number in range(5):
        (deploy / f"{number}.yaml").write_text("image: [\n")
    assert str(read(deploy / "*").error).endswith("; and 2 more")


def test_two_stars_reach_every_folder(deploy: Path) -> None:
    for place in ("a.yaml", "x/b.yaml", "x/y/c.yaml", "x/y/d.txt"):
        path = deploy / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"image: ghcr.io/acme/{path.stem}:1\n")
    assert names(read(deploy / "**" / "*.yaml")) == {f"ghcr.io/acme/{name}:1" for name in "abc"}
    assert names(read(deploy / "x" / "**" / "y" / "**")) == {f"ghcr.io/acme/{name}:1" for name in "cd"}
    assert names(read(deploy / "?.yaml")) == {"ghcr.io/acme/a:1"}


def test_wildcards_pass_over_hidden_names_unless_they_say_the_dot(deploy: Path) -> None:
    hidden = deploy / ".github" / "ci.yaml"
    hidden.parent.mkdir()
    hidden.write_text("image: ghcr.io/acme/ci:1\n")
    assert names(read(deploy / "**" / "*.yaml")) == set()
    assert names(read(deploy / ".*" / "*.yaml")) == {"ghcr.io/acme/ci:1"}


def test_a_folder_whose_name_looks_like_a_pattern_is_found(deploy: Path) -> None:
    folder = deploy / "[prod]"
    folder.mkdir()
    (folder / "a.yaml").write_text("image: ghcr.io/acme/app:1\n")
    assert names(read(folder / "*.yaml")) == {"ghcr.io/acme/app:1"}


def test_links_are_followed_and_circles_end(deploy: Path) -> None:
    real = deploy / "..data"
    real.mkdir()
    (real / "a.yaml").write_text("image: ghcr.io/acme/app:1\n")
    (deploy / "a.yaml").symlink_to(real / "a.yaml")
    (deploy / "round").symlink_to(deploy)
    assert names(read(deploy / "**" / "*.yaml")) == {"ghcr.io/acme/app:1"}


def test_a_link_to_nothing_closes(deploy: Path) -> None:
    (deploy / "a.yaml").symlink_to(deploy / "gone")
    assert read(deploy / "*.yaml").error is not None


def test_a_fifo_closes_and_blocks_nothing(deploy: Path) -> None:
    os.mkfifo(deploy / "a.yaml")
    assert "it is no file" in str(read(deploy / "*.yaml").error)


def test_a_glob_without_a_file_is_an_empty_source(deploy: Path) -> None:
    reading = read(deploy / "*.yaml")
    assert reading.error is None
    assert reading.references == ()


def test_a_glob_without_a_file_does_not_hide_behind_others(deploy: Path) -> None:
    (deploy / "a.yaml").write_text("image: ghcr.io/acme/app:1\n")
    globs = deploy / "*.yaml", deploy / "*.yml"
    assert read(*globs).error == f"no file matches {deploy}/*.yml"
    assert read(*globs, allow_empty=True).error is None


def test_a_folder_or_file_that_is_named_and_missing_closes(deploy: Path) -> None:
    for pattern in (deploy / "no" / "*.yaml", deploy / "no.yaml"):
        assert "No such file or directory" in str(read(pattern, allow_empty=True).error)


def test_a_folder_that_matches_is_no_manifest(deploy: Path) -> None:
    (deploy / "app.yaml").mkdir()
    assert read(deploy / "*.yaml").error is None
    assert "it is no file" in str(read(deploy / "app.yaml").error)


def test_reading_stops_when_asked_and_says_so(deploy: Path) -> None:
    (deploy / "a.yaml").write_text("image: ghcr.io/acme/app:1\n")
    stop = threading.Event()
    stop.set()
    source = ManifestsSource(ManifestsKeys(manifests=(str(deploy / "*"),)))
    reading = source.read(Context(stop=stop), allow_empty=False)
    assert reading.references == ()
    assert "asked to stop" in str(reading.error)


def test_the_reference_of_an_image_volume_counts(deploy: Path) -> None:
    reading = read_text(deploy, "volumes: [{name: model, image: {reference: ghcr.io/acme/model:2}}]")
    assert names(reading) == {"ghcr.io/acme/model:2"}
