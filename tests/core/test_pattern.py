from __future__ import annotations

import re
import timeit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.pattern import (
    Pattern,
    PatternError,
    PatternKind,
    PatternList,
    TagMatcher,
    groups_of,
    parse_pattern,
)

TAG, REPOSITORY, NAME = PatternKind.TAG, PatternKind.REPOSITORY, PatternKind.NAME


def tags(*texts: str) -> PatternList:
    return PatternList.of(texts, TAG)


@pytest.mark.parametrize(
    ("pattern", "matched", "unmatched"),
    [
        ("stable", "stable", "stable2 unstable Stable stabl"),
        ("*", "a latest 1.2.3 -", ""),
        ("**", "a latest", ""),
        ("pr-*", "pr-1 pr-", "pr xpr-1 PR-1"),
        ("*-rc", "1-rc -rc", "1-rc1 rc"),
        ("a*b*c", "abc aXbYc abbcc", "acb abcd"),
        ("v?", "v1 vv", "v v10"),
        ("v?.*", "v1.2 v1.", "v10.2"),
        ("v[0-9]*", "v1 v12-x", "v vx"),
        ("v[0-9a-c]", "v0 va vc", "vd v00"),
        ("[!v]*", "x 1.0", "v v1"),
        ("[^v]*", "x 1.0", "v v1"),
        ("[]x]", "x ]", "y"),
        ("[!]x]", "y", "x ]"),
        ("[a-]", "a -", "b"),
        ("[-a]", "a -", "b"),
        (r"[\]a]", "a ]", "b"),
        (r"[a\-c]", "a - c", "b"),
        ("[[a]", "a [", "b"),
        ("[.*+]", ". * +", "a"),
        ("{a,b}", "a b", "ab c {a,b}"),
        ("{main,dev}-*", "main-1 dev-", "main prod-1"),
        ("v{,1.}0", "v0 v1.0", "v10"),
        ("{a}", "a", "{a}"),
        ("{a,b{c,d{e,f}}}-[,}]", "a-, bc-, bde-} bdf-,", "b-, bd-,"),
        ("a.b", "a.b", "axb"),
        ("a+b", "a+b", "aab"),
        ("a|b", "a|b", "a b"),
        ("(a)^$", "(a)^$", "a"),
        (r"\*", "*", "a"),
        (r"\{a\}\[b\]", "{a}[b]", "a"),
        (r"a\,b", "a,b", "a"),
        (r"\!a", "!a", "a"),
        (r"\re", "re", r"\re"),
        ("ü*", "ü über", "u"),
        ("re:v?[0-9]+([.][0-9]+)?", "1 v1 1.2", "1.2.3 xv1"),
        ("re:a|ab", "a ab", "abb xa"),
        ("re:^a$", "a", "ab"),
        ("re:(?i)latest", "latest LATEST", "latest2"),
        ("semver:*", "1.2.3 v1.2.3 1.0.0+b", "1.2 latest 1.2.3-rc.1 2026.07.29"),
        ("semver:>=1.2.0,<2", "1.2.0 v1.9.0", "2.0.0 1.1.0 2.0.0-rc.1"),
        ("semver:>=1.4.0-0", "1.4.0-rc.1 1.4.0", "1.5.0-rc.1"),
        ("semver: ^1.4", "1.4.0", "2.0.0"),
        ("semver:pre", "1.2.3-rc.1 v1.2.3-0", "1.2.3 1.2-rc.1 pre"),
    ],
)
def test_a_pattern_speaks_of_the_whole_tag(pattern: str, matched: str, unmatched: str) -> None:
    parsed = parse_pattern(pattern, TAG)
    assert [tag for tag in matched.split() if not parsed.matches(tag)] == []
    assert [tag for tag in unmatched.split() if parsed.matches(tag)] == []


@pytest.mark.parametrize(
    ("pattern", "matched", "unmatched"),
    [
        ("services/**", "services/api services/legacy/api services/", "services servicesx/api"),
        ("services/*", "services/api services/", "services/legacy/api services"),
        ("*", "api", "a/b"),
        ("**", "api a/b a/b/c", ""),
        ("***", "api a/b", ""),
        ("**/api", "a/api a/b/api", "api a/apix"),
        ("a/**/z", "a/b/z a/b/c/z", "a/z"),
        ("a**z", "az a/b/z", "a/b"),
        ("*/*", "a/b", "a a/b/c"),
        ("a?b", "axb", "a/b"),
        ("a[!x]b", "ayb", "a/b axb"),
        ("a[.-0]b", "a.b a0b", "a/b a-b"),
        ("{team,ci}/*", "team/a ci/b", "x/a ci/b/c"),
        ("re:services/.*", "services/api services/a/b", "services"),
        ("library/nginx", "library/nginx", "nginx library/nginx2"),
    ],
)
def test_one_star_stays_within_a_segment_of_a_repository_and_two_do_not(
    pattern: str, matched: str, unmatched: str
) -> None:
    parsed = parse_pattern(pattern, REPOSITORY)
    assert [name for name in matched.split() if not parsed.matches(name)] == []
    assert [name for name in unmatched.split() if parsed.matches(name)] == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("*", "a/b, c: d"), ("https://*", "https://acme.example"), ("MIT,*", "MIT,Apache-2.0"), ("a b", "a b")],
)
def test_a_name_may_hold_anything(pattern: str, text: str) -> None:
    assert parse_pattern(pattern, NAME).matches(text)


@pytest.mark.parametrize(
    ("text", "kind", "meant"),
    [
        ("", TAG, "empty"),
        ("!", TAG, "before no pattern"),
        ("!!x", TAG, "negated once"),
        ("re:", TAG, "holds no expression"),
        ("re:(a", TAG, "missing ): (a"),
        ("re:a**", TAG, "bad repetition"),
        ("re:(?!x).*", TAG, "RE2 has no look-around"),
        ("re:(?<!x)y", TAG, "RE2 has no look-around"),
        (r"re:(a)\1", TAG, "RE2 has no back-references"),
        ("re:a{2000}", TAG, "invalid repetition size"),
        ("re:((a{100}){100}){100}", TAG, "RE2 can't read this"),
        ("semver:", TAG, "names no versions"),
        ("semver:latest", TAG, "is no part of a range"),
        ("semver:^1,^2", TAG, "no version is in all"),
        ("semver:1||2", TAG, "a pattern for each side"),
        ("semver:*", REPOSITORY, "semver: is for tags"),
        ("semver:*", NAME, "semver: is for tags"),
        ("[a", TAG, "never closed"),
        ("[", TAG, "never closed"),
        ("[]", TAG, "never closed"),
        ("[a-", TAG, "never closed"),
        ("[z-a]", TAG, "runs backwards"),
        ("[[:digit:]]", TAG, "write [0-9]"),
        ("[/]", REPOSITORY, "never matches /"),
        ("{a,b", TAG, "never closed"),
        ("{a,{b}", TAG, "never closed"),
        ("a}", TAG, "closes nothing"),
        ("a]", TAG, "closes nothing"),
        ("{}", TAG, "holds nothing"),
        ("a\\", TAG, "stands before nothing"),
        ("[a\\", TAG, "stands before nothing"),
        ("pr-*,mr-*", TAG, "write a list"),
        ("a,b", REPOSITORY, "write a list"),
        ("regex:a.*", TAG, "There are re:, semver: and globs"),
        ("RE:a.*", TAG, "There are re:, semver: and globs"),
        ("SemVer:*", TAG, "There are re:, semver: and globs"),
        (" stable", TAG, "holds a blank"),
        ("! stable", TAG, "holds a blank"),
        ("a b", REPOSITORY, "holds a blank"),
        ("x" * 1001, TAG, "longer than the 1000"),
        ("{" * 200 + "a" + "}" * 200, TAG, "deep"),
        ("\ud800", TAG, "half a character"),
    ],
)
def test_a_wrong_pattern_is_answered_with_a_sentence(text: str, kind: PatternKind, meant: str) -> None:
    with pytest.raises(PatternError, match=re.escape(meant)) as caught:
        parse_pattern(text, kind)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 1200


def test_a_wrong_expression_writes_nothing_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PatternError):
        parse_pattern("re:(a", TAG)
    assert capfd.readouterr() == ("", "")


def test_braces_are_never_multiplied_out() -> None:
    pattern = parse_pattern("{a,b}" * 150, TAG)
    assert pattern.matches("ab" * 75)
    assert not pattern.matches("ab" * 74)


def test_matching_never_backtracks() -> None:
    pattern = parse_pattern("re:(a*)*(a*)*(a|aa)*b", TAG)
    assert not pattern.matches("a" * 20_000)
    assert not parse_pattern("*a" * 40 + "b", TAG).matches("a" * 20_000)


def test_negation_is_kept_apart_from_matching() -> None:
    pattern = parse_pattern("!pr-*", TAG)
    assert pattern.negated
    assert pattern.text == "!pr-*"
    assert pattern.matches("pr-1")
    assert not pattern.matches("x")


def test_equal_text_and_kind_make_equal_patterns() -> None:
    used = parse_pattern("re:a.*", TAG)
    assert used.matches("ab")
    assert used == parse_pattern("re:a.*", TAG)
    assert hash(used) == hash(parse_pattern("re:a.*", TAG))
    assert used != parse_pattern("re:a.*", REPOSITORY)
    assert used != parse_pattern("!re:a.*", TAG)
    assert tags("a", "b") == tags("a", "b")


def test_no_wrong_pattern_can_be_made_in_any_way() -> None:
    with pytest.raises(PatternError):
        Pattern(text="[", kind=TAG)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"text":"[","kind":"tag"}', type=Pattern)


def test_a_list_selects_what_some_pattern_matches_and_no_negated_one_does() -> None:
    patterns = tags("pr-*", "ci-*", "!*-keep", "!pr-1")
    assert patterns.selects("pr-2")
    assert patterns.selects("ci-1")
    assert not patterns.selects("pr-1")
    assert not patterns.selects("ci-keep")
    assert not patterns.selects("main")


def test_a_negated_version_or_expression_takes_away_too() -> None:
    patterns = tags("*", "!semver:*", "!re:[0-9a-f]{7}", "!semver:pre")
    assert patterns.selects("main")
    assert not patterns.selects("1.2.3")
    assert not patterns.selects("1.2.3-rc.1")
    assert not patterns.selects("abcdef0")


@pytest.mark.parametrize("texts", [(), ("!a",), ("!*",)])
def test_a_list_without_a_positive_pattern_selects_nothing(texts: tuple[str, ...]) -> None:
    assert not tags(*texts).selects("a")
    assert not tags(*texts).selects("b")
    assert TagMatcher([tags(*texts)]).select("b") == 0


def test_the_first_wrong_text_of_a_list_is_named() -> None:
    with pytest.raises(PatternError, match=r"\[b"):
        tags("a", "[b", "{c")


def test_a_matcher_tells_of_many_lists_which_select_a_tag() -> None:
    matcher = TagMatcher(
        [
            tags("*"),
            tags("semver:*", "!semver:^1"),
            tags("1.*", "re:[a-z]+"),
            tags("latest", "stable"),
            tags("1.2.*", "!1.2.3"),
            tags("*.3", "semver:pre"),
        ]
    )
    assert matcher.select("1.2.3") == 0b100101
    assert matcher.select("1.2.4") == 0b010101
    assert matcher.select("2.0.0") == 0b000011
    assert matcher.select("2.0.0-rc.1") == 0b100001
    assert matcher.select("latest") == 0b001101
    assert matcher.select("") == 0b000001
    assert TagMatcher([]).select("a") == 0


@pytest.mark.parametrize("kind", [TAG, REPOSITORY, NAME])
@pytest.mark.parametrize("text", ["", "\n", "a\nb", "\0", "é", "日本", "\ud800", "a" * 10_000])
def test_no_text_breaks_matching_and_two_stars_match_any(text: str, kind: PatternKind) -> None:
    assert parse_pattern("**", kind).matches(text)
    assert parse_pattern("**{,x}", kind).matches(text)
    assert TagMatcher([PatternList.of(["*[!y]", "re:.*"], kind)]).select(text) in (0, 1)


@pytest.mark.parametrize(
    ("pattern", "name", "tag", "group"),
    [
        ("re:(?P<branch>.+)-[0-9a-f]{7,40}", "branch", "feature-x-1234567", "feature-x"),
        ("re:(?P<branch>.+)-[0-9a-f]{7,40}", "branch", "feature-x", None),
        ("re:(?P<branch>.+)-[0-9a-f]{7,40}", "other", "feature-x-1234567", None),
        ("re:(?:pr-(?P<pr>[0-9]+)|main)", "pr", "pr-7", "7"),
        ("re:(?:pr-(?P<pr>[0-9]+)|main)", "pr", "main", None),
        ("re:(?P<a>x*)y", "a", "y", ""),
        ("re:(?P<a>é+)-(?P<b>ü)", "b", "éé-ü", "ü"),
        ("semver:*", "major", "v1.4.2", "1"),
        ("semver:*", "minor", "v1.4.2", "1.4"),
        ("semver:*", "minor", "1.4.2-rc.1", None),
        ("semver:pre", "minor", "1.4.2-rc.1", "1.4"),
        ("semver:^2", "major", "1.4.2", None),
        ("semver:*", "patch", "1.4.2", None),
        ("pr-*", "major", "pr-1", None),
        ("1.4.2", "major", "1.4.2", None),
    ],
)
def test_groups_come_from_expressions_and_versions(
    pattern: str, name: str, tag: str, group: str | None
) -> None:
    assert parse_pattern(pattern, TAG).group(name, tag) == group


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("pr-*", set()),
        ("re:a(b)", set()),
        ("re:(?P<a>x)(?P<b>y)", {"a", "b"}),
        ("semver:^1", {"major", "minor"}),
        ("semver:pre", {"major", "minor"}),
    ],
)
def test_a_pattern_names_its_groups(pattern: str, names: set[str]) -> None:
    assert parse_pattern(pattern, TAG).group_names == names


def test_the_first_positive_pattern_that_matches_and_gives_the_group_decides() -> None:
    patterns = tags(
        "x-*",
        "!re:(?P<b>never)-.*",
        "re:x-(?P<b>[0-9]+)?.*",
        "re:(?P<b>[a-z]+)-.*",
        "semver:*",
    )
    assert groups_of(patterns, ["x-7", "x-y", "never-1"], "b") == ["7", "x", "never"]
    assert groups_of(patterns, ["7"], "b")[0] is None
    assert groups_of(patterns, ["1.4.2"], "minor")[0] == "1.4"
    assert groups_of(tags(), ["1.4.2"], "minor")[0] is None


def test_expressions_that_find_no_room_in_one_automaton_match_the_same() -> None:
    """Each of the two large ones is more than an automaton holds; RE2 matches them without."""
    matcher = TagMatcher([tags(r"re:\pL{400}a"), tags(r"re:\pL{400}b", "re:x+"), tags("*é")])
    assert matcher.select("é" * 400 + "a") == 0b001
    assert matcher.select("é" * 400 + "b") == 0b010
    assert matcher.select("é" * 400) == 0b100
    assert matcher.select("xx") == 0b010


def test_fifty_lists_cost_hardly_more_than_five() -> None:
    def lists(count: int) -> list[PatternList]:
        return [tags(f"pr{n}-*", f"tag{n}", f"re:x{n}-[0-9]+", f"*-rc{n}", f"!y{n}") for n in range(count)]

    few, many = TagMatcher(lists(5)), TagMatcher(lists(50))
    sample = ["feature-abc", "pr3-1", "tag4", "x2-77", "1.2.3-rc1"]

    def cost(matcher: TagMatcher) -> float:
        return min(timeit.repeat(lambda: [matcher.select(tag) for tag in sample], number=200, repeat=7))

    assert cost(many) < 7 * cost(few)


_texts = st.lists(st.sampled_from(["a", "b", "/", ".", "\n", "é"]), max_size=6).map("".join)
_pieces = st.sampled_from(["a", "b", "é", "*", "?", "[ab]", "[!a]", "{a,b*}", "{,?}"])
_globs = st.lists(_pieces, min_size=1, max_size=4).map("".join)
_patterns = st.one_of(
    _globs,
    st.sampled_from(["semver:*", "semver:^1", "semver:pre", "re:[ab]+", "re:.*", "a", "ab", "a*"]),
)
_lists = st.lists(st.tuples(st.booleans(), _patterns), max_size=4).map(
    lambda parts: tags(*(f"!{text}" if negated else text for negated, text in parts))
)


@given(st.lists(_lists, max_size=5), st.one_of(_texts, st.sampled_from(["1.0.0", "v1.2.3-rc", "2.0.0"])))
def test_many_lists_at_once_say_what_each_says_alone(lists: list[PatternList], tag: str) -> None:
    hits = TagMatcher(lists).select(tag)
    for place, patterns in enumerate(lists):
        positive = any(one.matches(tag) for one in patterns.patterns if not one.negated)
        negative = any(one.matches(tag) for one in patterns.patterns if one.negated)
        assert bool(hits >> place & 1) == (positive and not negative) == patterns.selects(tag)
    assert hits >> len(lists) == 0


@given(_lists, _patterns, _texts)
def test_a_negated_pattern_never_selects_more(patterns: PatternList, text: str, tag: str) -> None:
    more = PatternList(patterns=(*patterns.patterns, parse_pattern(f"!{text}", TAG)))
    assert patterns.selects(tag) or not more.selects(tag)


@given(st.text(alphabet="ab*?[]{}!^-,\\/:re.()|+", max_size=30), st.sampled_from(list(PatternKind)), _texts)
def test_no_text_breaks_the_reading_of_patterns(text: str, kind: PatternKind, subject: str) -> None:
    try:
        pattern = parse_pattern(text, kind)
    except PatternError:
        return
    assert pattern.matches(subject) in (True, False)
