from __future__ import annotations

import itertools
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.version import Version, parse_range, parse_version

_numbers = st.integers(0, 20)
_identifiers = st.one_of(
    st.integers(0, 99).map(str), st.from_regex(r"[0-9]*[a-zA-Z-][0-9a-zA-Z-]{0,3}", fullmatch=True)
)
_prereleases = st.lists(_identifiers, max_size=3).map(".".join)
versions = st.builds(Version, _numbers, _numbers, _numbers, _prereleases)


def read(text: str) -> Version:
    version = parse_version(text)
    assert version is not None
    return version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.2.3", Version(1, 2, 3)),
        ("v1.2.3", Version(1, 2, 3)),
        ("0.0.0", Version(0, 0, 0)),
        ("1.2.3-rc.1", Version(1, 2, 3, "rc.1")),
        ("1.2.3-0", Version(1, 2, 3, "0")),
        ("1.2.3-0a", Version(1, 2, 3, "0a")),
        ("1.2.3--", Version(1, 2, 3, "-")),
        ("1.2.3+build.007", Version(1, 2, 3)),
        ("1.2.3-rc.1+build", Version(1, 2, 3, "rc.1")),
        ("20260729.1.0", Version(20260729, 1, 0)),
        ("1.2.3-alpine", Version(1, 2, 3, "alpine")),
    ],
)
def test_a_version_is_semver_2_with_or_without_v(text: str, version: Version) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v",
        "1",
        "1.2",
        "v1.2",
        "1.2.3.4",
        "2026.07.29",
        "01.2.3",
        "1.2.3-01",
        "1.2.3-rc..1",
        "1.2.3-",
        "1.2.3-rc.",
        "1.2.3+",
        "1.2.3+a..b",
        "V1.2.3",
        "vv1.2.3",
        " 1.2.3",
        "1.2.3 ",
        "1.2.3\n",
        "1.2.x",
        "1.-2.3",
        "latest",
        "release-1.2.3",
        "1.2.3_4",
        "٣.0.0",
        "1.2.3-é",
        "1.0." + "1" * 5000,
        "1.0.0-" + "0" * 250 + ".",
    ],
)
def test_anything_else_is_no_version(text: str) -> None:
    assert parse_version(text) is None


def test_precedence_is_the_one_of_the_specification() -> None:
    texts = [
        "0.9.9",
        "1.0.0-0",
        "1.0.0-1",
        "1.0.0-10",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.2.0",
        "1.10.0",
        "2.0.0",
    ]
    ordered = [read(text) for text in texts]
    for lower, higher in itertools.combinations(ordered, 2):
        assert lower < higher
        assert lower <= higher
        assert higher > lower
        assert higher >= lower
        assert lower != higher


def test_build_metadata_has_no_part_in_precedence() -> None:
    assert read("1.0.0+a") == read("1.0.0+b")
    assert hash(read("1.0.0+a")) == hash(read("v1.0.0"))


@given(versions, versions, versions)
def test_versions_are_in_one_total_order(one: Version, two: Version, three: Version) -> None:
    assert (one < two) + (one == two) + (one > two) == 1
    assert (one <= two) == (not one > two)
    assert (one >= two) == (not one < two)
    first, second, third = sorted((one, two, three))
    assert first <= second <= third
    assert first <= third


@given(versions)
def test_a_printed_version_is_read_as_the_same(version: Version) -> None:
    assert parse_version(str(version)) == version
    assert parse_version(f"v{version}") == version


@given(st.text())
def test_no_text_breaks_the_reading_of_versions(text: str) -> None:
    version = parse_version(text)
    assert version is None or str(version) == text.removeprefix("v").partition("+")[0]


# Range, what lies in it, what doesn't: the examples of npm's documentation among them.
RANGES: list[tuple[str, str, str]] = [
    ("*", "0.0.0 1.2.3 99.0.0", "1.2.3-rc.1 0.0.0-0"),
    ("x", "0.0.0 1.2.3", "1.2.3-rc.1"),
    (">=*", "1.2.3", "1.2.3-rc.1"),
    ("1.2.3", "1.2.3", "1.2.4 1.2.2 1.2.3-rc.1"),
    ("=1.2.3", "1.2.3", "1.2.4 1.2.3-rc.1"),
    ("v1.2.3", "1.2.3", "1.2.4"),
    ("1.2.3-rc.1", "1.2.3-rc.1", "1.2.3 1.2.3-rc.2"),
    (">=1.2.0,<2", "1.2.0 1.99.0", "1.1.9 2.0.0 2.0.0-rc.1 2.0.0-0 1.5.0-rc.1"),
    (">=1.2.0 <2", "1.2.0 1.99.0", "1.1.9 2.0.0"),
    (">= 1.2.0 , < 2", "1.2.0 1.99.0", "1.1.9 2.0.0"),
    (">1.2.3", "1.2.4 2.0.0", "1.2.3 1.2.2"),
    (">1.2", "1.3.0", "1.2.0 1.2.9"),
    (">1", "2.0.0", "1.99.0"),
    (">=1.2", "1.2.0 1.3.0", "1.1.9"),
    ("<1.2.3", "1.2.2", "1.2.3 1.2.3-rc.1"),
    ("<1.2", "1.1.9", "1.2.0 1.2.0-0"),
    ("<=1.2.3", "1.2.3 0.0.0", "1.2.4"),
    ("<=1.2", "1.2.99", "1.3.0 1.3.0-0"),
    ("<=1", "1.99.99", "2.0.0"),
    ("1.x", "1.0.0 1.9.9", "2.0.0 0.9.9 2.0.0-0"),
    ("1.X.*", "1.0.0 1.9.9", "2.0.0"),
    ("1", "1.0.0 1.9.9", "2.0.0 0.9.9"),
    ("1.2", "1.2.0 1.2.9", "1.3.0 1.1.9"),
    ("=1.2", "1.2.0 1.2.9", "1.3.0"),
    ("1.2.x", "1.2.0 1.2.9", "1.3.0"),
    ("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0 1.3.0-0"),
    ("~1.2", "1.2.0 1.2.9", "1.3.0"),
    ("~1", "1.0.0 1.9.0", "2.0.0"),
    ("~0.2.3", "0.2.3 0.2.9", "0.3.0"),
    ("~1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.4 1.2.3 1.2.9", "1.2.3-beta.1 1.2.4-beta.2 1.3.0"),
    ("^1.4", "1.4.0 1.99.0", "1.3.9 2.0.0 2.0.0-0 2.0.0-rc.1"),
    ("^v1.4", "1.4.0", "2.0.0"),
    ("^1.2.3", "1.2.3 1.9.9", "1.2.2 2.0.0"),
    ("^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3.0 0.3.0-0"),
    ("^0.0.3", "0.0.3", "0.0.2 0.0.4"),
    ("^0.0", "0.0.0 0.0.9", "0.1.0"),
    ("^0", "0.0.0 0.9.9", "1.0.0"),
    ("^0.0.0", "0.0.0", "0.0.1"),
    ("^1.x", "1.0.0 1.9.9", "2.0.0"),
    ("^*", "0.0.0 9.0.0", "1.0.0-rc"),
    ("^1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.4 1.2.3 1.9.0", "1.2.4-beta.2 2.0.0-beta.2 1.2.3-alpha"),
    ("^0.0.3-beta", "0.0.3-beta 0.0.3-pr.2 0.0.3", "0.0.4 0.0.4-0"),
    (">=1.4.0-0", "1.4.0-0 1.4.0-rc.1 1.4.0 1.5.0", "1.5.0-rc.1 1.3.9 1.4.1-0"),
    (">1.2.3-alpha.3", "1.2.3-alpha.7 1.2.3 3.4.5", "1.2.3-alpha.3 3.4.5-alpha.9"),
    ("<2.0.0-rc.1", "1.9.9 2.0.0-beta", "2.0.0-rc.1 2.0.0 1.9.9-rc.1"),
    ("<=2.0.0-rc.1", "2.0.0-rc.1 2.0.0-beta", "2.0.0-rc.2 2.0.0"),
    (">=1.2.3+build", "1.2.3", "1.2.2"),
    ("^1.2 >=1.4.5", "1.4.5 1.9.0", "1.4.4 2.0.0"),
    (">=1.0.0 >=1.2.0 <3 <2", "1.2.0", "1.1.0 2.1.0"),
]


@pytest.mark.parametrize(("text", "inside", "outside"), RANGES)
def test_a_range_means_what_npm_means(text: str, inside: str, outside: str) -> None:
    versions_of = parse_range(text)
    assert [one for one in inside.split() if not versions_of.contains(read(one))] == []
    assert [one for one in outside.split() if versions_of.contains(read(one))] == []


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", "''"),
        ("  ", "an empty part"),
        ("1 || 2", "a pattern for each side"),
        ("1||2", "a pattern for each side"),
        ("1.2.0 - 2.0.0", "write >=1.2.0,<=2.0.0"),
        ("latest", "is no part of a range"),
        ("~>1.2", "is no part of a range"),
        ("=>1.2", "is no part of a range"),
        ("==1.2.3", "is no part of a range"),
        ("!=1.2.3", "is no part of a range"),
        (">=01.2.3", "is no part of a range"),
        (">=1.2.3.4", "is no part of a range"),
        (">=1.2,", "an empty part"),
        (",>=1.2", "is no part of a range"),
        (">=1.2,,<2", "is no part of a range"),
        (">=", "is no part of a range"),
        (">*", "no version is >*"),
        ("<x", "no version is <*"),
        ("1.x.3", "no number can follow"),
        ("*.1", "no number can follow"),
        ("1.2-rc.1", "is no part of a range"),
        ("1.2.x-rc.1", "names no pre-release"),
        ("1.2.3-01", "names no pre-release"),
        ("^1.4, ^2.0", "no version is in all of these"),
        (">2 <1", "no version is in all of these"),
        (">1.2.3,<=1.2.3", "no version is in all of these"),
        ("1." * 500, "too long"),
    ],
)
def test_a_wrong_range_is_answered_with_a_sentence(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=re.escape(meant)) as caught:
        parse_range(text)
    assert len(str(caught.value)) < 300


@given(versions, versions)
def test_a_release_is_on_one_side_of_every_version(version: Version, bound: Version) -> None:
    """Pre-releases are left out: a range takes them only by name."""
    release = Version(version.major, version.minor, version.patch)
    assert parse_range(f">={bound}").contains(release) == (release >= bound)
    assert parse_range(f">{bound}").contains(release) == (release > bound)
    assert parse_range(f"<={bound}").contains(release) == (release <= bound)
    assert parse_range(f"<{bound}").contains(release) == (release < bound)
    assert parse_range(f"={bound}").contains(release) == (release == bound)


@given(versions, versions)
def test_a_prerelease_is_taken_only_where_the_range_names_one_of_its_version(
    version: Version, bound: Version
) -> None:
    taken = parse_range(f">={bound}").contains(version)
    same = (version.major, version.minor, version.patch) == (bound.major, bound.minor, bound.patch)
    if version.prerelease and not (same and bound.prerelease):
        assert not taken


@given(st.text(alphabet="0123456789.xX*<>=^~v-+, |abc"))
def test_no_text_breaks_the_reading_of_ranges(text: str) -> None:
    with suppress(ValueError):
        parse_range(text).contains(Version(1, 2, 3, "rc.1"))
