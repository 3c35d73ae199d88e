from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.reference import ImageReferenceError, Reference, normal_host

A = "sha256:" + "a" * 64
B = "sha512:" + "b" * 128


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        (f"nginx@{A}", f"docker.io/library/nginx@{A}"),
        (f"nginx:1.27@{A}", f"docker.io/library/nginx:1.27@{A}"),
        (f"nginx@{B}", f"docker.io/library/nginx@{B}"),
        ("acme/app", "docker.io/acme/app:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/acme/app:1", "docker.io/acme/app:1"),
        ("registry-1.docker.io/acme/app:1", "docker.io/acme/app:1"),
        ("Docker.IO/acme/app:1", "docker.io/acme/app:1"),
        ("docker.io:443/acme/app:1", "docker.io/acme/app:1"),
        ("GHCR.io/acme/app:V1", "ghcr.io/acme/app:V1"),
        ("ghcr.io/app", "ghcr.io/app:latest"),
        ("ghcr.io:443/acme/app", "ghcr.io/acme/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/a/b/c:1", "localhost:5000/a/b/c:1"),
        ("localhost:5000", "docker.io/library/localhost:5000"),
        ("registry:5000/app", "registry:5000/app:latest"),
        ("10.0.0.1/app", "10.0.0.1/app:latest"),
        ("[::1]:5000/app:1", "[::1]:5000/app:1"),
        ("acme/a.b_c__d-e--f/g", "docker.io/acme/a.b_c__d-e--f/g:latest"),
        (f"docker-pullable://nginx@{A}", f"docker.io/library/nginx@{A}"),
        (f"docker://ghcr.io/acme/app@{A}", f"ghcr.io/acme/app@{A}"),
        ("oci://ghcr.io/acme/chart:1.0.0", "ghcr.io/acme/chart:1.0.0"),
        (
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b:1",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b:1",
        ),
    ],
)
def test_a_reference_is_read_as_docker_reads_it(text: str, printed: str) -> None:
    reference = Reference.parse(text)
    assert str(reference) == printed
    assert Reference.parse(printed) == reference


@pytest.mark.parametrize("text", [A, B, f"docker://{A}", f"docker-pullable://{A}"])
def test_a_digest_that_stands_alone_names_no_repository(text: str) -> None:
    reference = Reference.parse(text)
    assert reference == Reference(host="", repository="", digest=text.rpartition("/")[2])
    assert reference.name == ""
    assert str(reference) == reference.digest
    assert not reference.matches_host("docker.io")


def test_latest_is_meant_only_where_neither_tag_nor_digest_is_written() -> None:
    assert Reference.parse("ghcr.io/acme/app").tag == "latest"
    assert Reference.parse(f"ghcr.io/acme/app@{A}").tag is None
    both = Reference.parse(f"ghcr.io/acme/app:1@{A}")
    assert (both.tag, both.digest) == ("1", A)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", "names no image"),
        (":1", "names no image"),
        ("docker.io/", "names no image"),
        ("Acme/app", "written in lower case, acme/app"),
        ("ghcr.io/Acme/app", "written in lower case, acme/app"),
        ("nginx:", "is no tag"),
        ("nginx:.1", "is no tag"),
        ("nginx:" + "a" * 129, "is no tag"),
        ("nginx@", "stands no digest"),
        ("nginx@sha256:abc", "stands no digest"),
        (f"nginx@{A.upper()}", "stands no digest"),
        (f"nginx@{A}@{A}", "stands no digest"),
        (f"nginx@{A}:1", "stands no digest"),
        (f"nginx@sha384:{'a' * 96}", "stands no digest"),
        ("sha256:abc", "digest that is cut"),
        ("a" * 64, "an image's id"),
        ("https://ghcr.io/acme/app", "has no https://"),
        ("/app", "is no repository's name"),
        ("a//b", "is no repository's name"),
        ("a/", "is no repository's name"),
        ("-a/b", "is no repository's name"),
        ("a b", "is no repository's name"),
        (" nginx", "is no repository's name"),
        ("nginx\n", "is no repository's name"),
        ("nginx:1\n", "is no tag"),
        ("{{ .Values.image }}", "is no repository's name"),
        ("$IMAGE", "is no repository's name"),
        ("ghcr..io:x/app", "is no host"),
        ("exa mple.com/app", "is no host"),
        ("a" * 2000, "too long"),
    ],
)
def test_what_is_no_reference_is_answered_with_a_sentence(text: str, meant: str) -> None:
    with pytest.raises(ImageReferenceError, match=re.escape(meant)) as caught:
        Reference.parse(text)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("prefix", "normal"),
    [
        ("ghcr.io", "ghcr.io"),
        ("GHCR.io/acme", "ghcr.io/acme"),
        ("https://ghcr.io/", "ghcr.io"),
        ("https://registry.example.com:443/", "registry.example.com"),
        ("http://registry:5000", "registry:5000"),
        ("registry.example.com:5000", "registry.example.com:5000"),
        ("https://registry-1.docker.io", "docker.io"),
        ("index.docker.io/acme/", "docker.io/acme"),
        ("acme", "docker.io/acme"),
        ("acme/team", "docker.io/acme/team"),
        ("https://registry", "registry"),
        ("localhost", "localhost"),
    ],
)
def test_a_host_has_one_form(prefix: str, normal: str) -> None:
    assert normal_host(prefix) == normal


@pytest.mark.parametrize(
    ("text", "prefix", "below"),
    [
        ("ghcr.io/acme/app:1", "ghcr.io/acme", "app"),
        ("ghcr.io/acme/app:1", "ghcr.io", "acme/app"),
        ("ghcr.io/acme/team/app:1", "https://GHCR.io/acme/", "team/app"),
        ("ghcr.io/acme-2/app:1", "ghcr.io/acme", None),
        ("ghcr.io/acme:1", "ghcr.io/acme", None),
        ("ghcr.io.evil.com/acme/app", "ghcr.io", None),
        ("registry.example.com:5000/app", "registry.example.com:5000", "app"),
        ("registry.example.com:5000/app", "registry.example.com", None),
        ("acme/app", "docker.io/acme", "app"),
        ("acme/app", "index.docker.io/acme", "app"),
        ("acme/app", "acme", "app"),
        ("nginx", "docker.io/library", "nginx"),
        ("ghcr.io/acme/app", "", None),
        (A, "docker.io", None),
        (A, "", None),
    ],
)
def test_a_repository_is_found_below_a_prefix_component_by_component(
    text: str, prefix: str, below: str | None
) -> None:
    reference = Reference.parse(text)
    assert reference.repository_below(prefix) == below
    assert reference.matches_host(prefix) == (below is not None)


@given(st.text(alphabet="aA1.:/@-_ [é\nsha256"))
def test_no_text_breaks_the_reading_of_references(text: str) -> None:
    with suppress(ImageReferenceError):
        reference = Reference.parse(text)
        assert Reference.parse(str(reference)) == reference
