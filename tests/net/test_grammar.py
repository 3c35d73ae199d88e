"""What may be a name, a tag, a digest and a link."""

from __future__ import annotations

import pytest

from janitor.errors import Malformed
from janitor.net.grammar import check_digest, check_name, check_tag, next_link

A = "sha256:" + "a" * 64


@pytest.mark.parametrize("name", ["a", "a/b", "a.b_c__d-e--f/0", "a" * 255])
def test_names_of_the_specification_pass(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "A",
        "a/",
        "/a",
        "a//b",
        "../a",
        "a..b",
        "a b",
        "a\n",
        "a?n=1",
        "a%2fb",
        "é",
        "a" * 256,
        "a:b",
        "-a",
    ],
)
def test_other_names_are_malformed(name: str) -> None:
    with pytest.raises(Malformed, match="name"):
        check_name(name)


@pytest.mark.parametrize("tag", ["1", "v1.0_x-y", "_", "A" * 128])
def test_tags_of_the_specification_pass(tag: str) -> None:
    assert check_tag(tag) == tag


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a/b", "a:b", A, "a b", "a\n", "a" * 129])
def test_other_tags_are_malformed(tag: str) -> None:
    with pytest.raises(Malformed, match="tag"):
        check_tag(tag)


@pytest.mark.parametrize("digest", [A, "sha512:" + "0" * 128])
def test_digests_of_two_algorithms_pass(digest: str) -> None:
    assert check_digest(digest) == digest


@pytest.mark.parametrize("digest", ["", "latest", A[:-1], A.upper(), A + "a", "md5:" + "a" * 32, A + "\n"])
def test_other_digests_are_malformed(digest: str) -> None:
    with pytest.raises(Malformed, match="digest"):
        check_digest(digest)


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        (['</v2/a?last=b%2Fc&n=2>; rel="next"'], "/v2/a?last=b%2Fc&n=2"),
        (["</x>; rel=next"], "/x"),
        (['</x>; title="a, b"; REL="prev next"'], "/x"),
        (['</p>; rel="prev", </n,1>; rel="next"'], "/n,1"),
        (['</p>; rel="prev"', '</n>; rel="next"'], "/n"),
        (['</p>; rel="nextish"'], None),
        (['</p>; rel="prev"'], None),
        (["nonsense"], None),
        ([], None),
    ],
)
def test_the_next_page_is_found(headers: list[str], url: str | None) -> None:
    assert next_link(headers) == url
