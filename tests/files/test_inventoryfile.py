from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from janitor.core.image import Image, ImageType
from janitor.errors import FileError
from janitor.files.inventoryfile import read_repositories, write_images
from tests.factories import INDEX_TYPE, digest, image, index, signature
from tests.instant import NOW


def line(name: str = "a", repository: str = "team/app", registry: str = "prod", **fields: Any) -> str:
    return json.dumps({"registry": registry, "repository": repository, "digest": digest(name), **fields})


def write(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "inventory.jsonl"
    path.write_text("".join(each + "\n" for each in lines))
    return path


def read(path: Path, registry: str | None = None) -> dict[tuple[str, str], list[str]]:
    return {
        (name, repository): [each.digest for each in images]
        for name, repository, images in read_repositories(path, registry)
    }


def only(path: Path) -> Image:
    [(_, _, [image])] = read_repositories(path)
    return image


def test_a_list_may_be_null_and_is_then_unknown(tmp_path: Path) -> None:
    read = only(write(tmp_path, line(tags=None, children=None, locked=None)))
    assert (read.tags, read.children, read.locked) == ((), UNSET, False)


def test_a_wrong_line_far_behind_one_with_a_null_is_named_by_its_number(tmp_path: Path) -> None:
    many = [line(str(n), tags=None if n == 5 else []) for n in range(2000)]
    with pytest.raises(FileError, match=r":2001: "):
        read(write(tmp_path, *many, "{}"))


@pytest.mark.parametrize(
    "written",
    [
        image("1.0", "latest", pulled=None, labels={"team": "a"}, locked=True),
        image(pulled="3d", tagged="2d", archived="1d", changed="5d", size=None, created=None),
        image(pushed=None, children=UNSET, type=None, media_type=None),
        index("1.0"),
        signature("1.0"),
    ],
)
def test_an_image_is_read_as_it_was_written(tmp_path: Path, written: Image) -> None:
    path = tmp_path / "inventory.jsonl"
    with path.open("wb") as stream:
        write_images(stream, "prod", "team/app", [written])
    read = only(path)
    for name in Image.__struct_fields__:
        assert getattr(read, name) == getattr(written, name), name


def test_a_line_has_the_keys_that_other_programs_rely_on() -> None:
    stream = io.BytesIO()
    write_images(stream, "prod", "team/app", [index("1.0", pulled=None, labels={"a": "b"})])
    keys = list(json.loads(stream.getvalue()))
    assert keys[:7] == ["registry", "repository", "digest", "tags", "media_type", "type", "pushed_at"]
    assert json.loads(stream.getvalue())["pulled_at"] is None


def test_an_untagged_image_is_written_with_an_empty_list_of_tags() -> None:
    stream = io.BytesIO()
    write_images(stream, "prod", "team/app", [image()])
    assert json.loads(stream.getvalue())["tags"] == []


def test_a_pull_that_is_absent_is_unknown_and_null_is_never(tmp_path: Path) -> None:
    assert only(write(tmp_path, line())).pulled_at is UNSET
    assert only(write(tmp_path, line(pulled_at=None))).pulled_at is None


def test_digests_of_both_algorithms_may_stand_together(tmp_path: Path) -> None:
    longer = "sha512:" + "0" * 128
    read = only(write(tmp_path, line(children=[digest("a"), longer], subject=longer)))
    assert (read.children, read.subject) == ((digest("a"), longer), longer)


def test_children_that_are_absent_are_unknown(tmp_path: Path) -> None:
    assert only(write(tmp_path, line())).children is UNSET
    assert only(write(tmp_path, line(children=[]))).children == ()


def test_keys_that_nobody_knows_are_passed_over(tmp_path: Path) -> None:
    assert only(write(tmp_path, line(colour="blue"))).digest == digest("a")


def test_a_type_that_is_absent_is_told_from_the_media_type(tmp_path: Path) -> None:
    assert only(write(tmp_path, line(media_type=INDEX_TYPE))).type is ImageType.INDEX
    assert only(write(tmp_path, line(media_type=INDEX_TYPE, type="cache"))).type is ImageType.CACHE
    tag = digest("b").replace(":", "-") + ".sig"
    assert only(write(tmp_path, line(tags=[tag]))).type is ImageType.SIGNATURE


def test_times_with_another_offset_are_the_same_instants(tmp_path: Path) -> None:
    assert only(write(tmp_path, line(pushed_at="2026-06-01T02:00:00+02:00"))).pushed_at == NOW


def test_repositories_come_in_the_order_of_the_file_each_with_its_images(tmp_path: Path) -> None:
    path = write(tmp_path, line("a", "z"), line("b", "z"), line("a", "a"), line("c", "a", "other"))
    assert list(read(path).items()) == [
        (("prod", "z"), [digest("a"), digest("b")]),
        (("prod", "a"), [digest("a")]),
        (("other", "a"), [digest("c")]),
    ]


def test_of_one_registry_only_its_own_repositories_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, line("a", "z"), line("a", "z", "other"), line("b", "y"))
    assert read(path, "prod") == {("prod", "z"): [digest("a")], ("prod", "y"): [digest("b")]}
    assert read(path, "nobody") == {}


def test_lines_of_a_repository_that_do_not_stand_together_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, line("a", "z"), line("a", "y"), line("b", "z"))
    with pytest.raises(FileError, match=r"inventory.jsonl:3: z of prod comes up again"):
        read(path)


def test_lines_of_another_registry_in_between_tear_a_repository_apart(tmp_path: Path) -> None:
    path = write(tmp_path, line("a", "z"), line("a", "z", "other"), line("b", "z"))
    with pytest.raises(FileError, match="comes up again"):
        read(path, "prod")


def test_what_another_registry_scatters_does_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path, line("a", "x", "other"), line("a", "z"), line("b", "x", "other"))
    assert read(path, "prod") == {("prod", "z"): [digest("a")]}


def test_a_good_repository_comes_before_the_wrong_line_of_a_later_one(tmp_path: Path) -> None:
    found = read_repositories(write(tmp_path, line("a", "z"), line("a", "y"), "{"))
    assert next(found)[1] == "z"
    with pytest.raises(FileError, match=":3:"):
        next(found)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ("nonsense", "malformed"),
        ("[]", "Expected `object`"),
        ("", "malformed|truncated"),
        ('{"registry":"prod","repository":"a"}', "missing required field `digest`"),
        (line().replace("sha256:", "sha256:0"), "digest"),
        (line().replace("sha256:", "md5:"), "digest"),
        (line(digest="sha256:" + "A" * 64), "digest"),
        (line(digest=digest("a") + "\n"), "digest"),
        (line(children=["amd"]), "children"),
        (line(subject="amd"), "subject"),
        (line(children=[digest("a"), "sha526:" + "0" * 64]), "children"),
        (line(children=["sha256:" + "0" * 63 + "s"]), "children"),
        (line(children=["sha256:" + "0" * 63 + "\ud800"]), "line|children"),
        (line(subject=digest("a") + digest("b")), "subject"),
        (line(subject=""), "subject"),
        (line(pushed_at="2026-06-01T00:00:00"), "timezone"),
        (line(pushed_at="yesterday"), "pushed_at"),
        (line(size_bytes=-1), "size_bytes"),
        (line(size_bytes="1"), "size_bytes"),
        (line(tags="1.0"), "tags"),
        (line(type="picture"), "type"),
        (line(locked="no"), "locked"),
        (line(repository=""), "no name"),
        (line(tags=[""]), "empty tag"),
        (line("1.0"), "a digest stands once"),
        (line(tags=["1.0"]), "has the tag 1.0 twice"),
        (line(tags=["2.0", "2.0"]), "has the tag 2.0 twice"),
        (line() + line(), "malformed"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, wrong: str, what: str) -> None:
    path = write(tmp_path, line("0", tags=["0.9"]), line("1.0", tags=["1.0"]), wrong, line("2"))
    with pytest.raises(FileError, match=rf"inventory.jsonl:3: .*({what})"):
        read(path)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, line())
    path.write_bytes(path.read_bytes().replace(b"team", b"te\xffm"))
    with pytest.raises(FileError, match=":1:"):
        read(path)


def test_a_last_line_that_is_cut_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, line("a"), line("b"))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FileError, match=r"inventory.jsonl:2: the last line is cut off"):
        read(path)


def test_a_last_line_that_only_lacks_its_end_is_whole(tmp_path: Path) -> None:
    path = write(tmp_path, line("a"), line("b"))
    path.write_bytes(path.read_bytes()[:-1])
    assert read(path) == {("prod", "team/app"): [digest("a"), digest("b")]}


def test_empty_lines_at_the_end_do_no_harm(tmp_path: Path) -> None:
    assert len(read(write(tmp_path, line("a"), "", " "))) == 1


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    assert read(write(tmp_path)) == {}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="gone can't be read"):
        read(tmp_path / "gone")


def test_an_inventory_can_come_through_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(line() + "\n",))
    writer.start()
    assert len(read(pipe)) == 1
    writer.join()
