"""The distribution API, where servers differ, fail or lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from janitor.core.manifest import ACCEPT
from janitor.errors import Denied, Gone, Malformed, Refused, RegistryError, Unreachable
from tests.net.scripted import Scripted, Time, distribution, json
from tests.simulators.content import OCI_IMAGE
from tests.simulators.server import Answer, Foreign, Request

BODY = b'{"schemaVersion":2,"config":{"mediaType":"a","digest":"sha256:%s","size":1},"layers":[]}' % (
    b"a" * 64
)
DIGEST = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
OTHER = f"sha256:{'b' * 64}"
CATALOGUE = "/v2/_catalog?n=100"
TAGS = "/v2/a/tags/list"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"


def manifest(body: bytes = BODY, media_type: str = OCI_IMAGE, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(headers={"Content-Type": media_type, **named}, body=body)


def test_a_catalogue_is_followed_by_its_links_word_for_word() -> None:
    script = {
        CATALOGUE: json('{"repositories":["a","b/c"]}', Link='</v2/_catalog?last=b%2Fc&n=2>; rel="next"'),
        "/v2/_catalog?last=b%2Fc&n=2": json('{"repositories":[]}', Link='<?next_page=x%3D>; rel="next"'),
        "/v2/_catalog?next_page=x%3D": json('{"repositories":["b/c","d"]}'),
    }
    with Scripted(script) as server:
        assert distribution(server).catalogue() == ("a", "b/c", "d")


@pytest.mark.parametrize("body", ['{"tags":["b","a"]}', '{"name":"x","tags":["b","a"],"more":1}'])
def test_tags_are_asked_without_a_number(body: str) -> None:
    with Scripted({TAGS: json(body)}) as server:
        assert distribution(server).tags("a") == ("b", "a")


@pytest.mark.parametrize("body", ['{"tags":null}', '{"tags":[]}', "{}"])
def test_no_tags_may_be_written_in_several_ways(body: str) -> None:
    with Scripted({TAGS: json(body)}) as server:
        assert distribution(server).tags("a") == ()


def test_a_repository_that_is_not_there_has_no_tags() -> None:
    with Scripted({TAGS: json('{"errors":[{"code":"NAME_UNKNOWN"}]}', 404)}) as server:
        assert distribution(server).tags("a") == ()


def test_a_repository_that_is_hidden_is_an_error() -> None:
    with Scripted({TAGS: Answer(status=403)}) as server, pytest.raises(Denied):
        distribution(server).tags("a")


@pytest.mark.parametrize(
    "answer",
    [
        json('{"tags":["a"'),
        json('{"tags":"a"}'),
        json('{"tags":[1]}'),
        json('{"tags":["../a"]}'),
        json('{"tags":[""]}'),
        json("<html>"),
        json('{"tags":["a"]}', Link=f'<{TAGS}>; rel="next"'),
        json('{"tags":["a"]}', Link=f'<{TAGS}?last=a>; rel="next"'),
        json('{"tags":["a"]}', Link='<http://[x>; rel="next"'),
        json('{"tags":["a"]}', Link='<https://127.0.0.1/v2/a/tags/list>; rel="next"'),
        json('{"tags":["a"]}', Link='<ftp://127.0.0.1/>; rel="next"'),
    ],
)
def test_tags_that_are_cut_repeated_or_led_away_are_malformed(answer: Answer) -> None:
    with Scripted(lambda _: answer) as server, pytest.raises(Malformed):
        distribution(server).tags("a")


@pytest.mark.parametrize("name", ["A", "../b", "a?x=1", "a//b"])
def test_a_name_that_breaks_the_grammar_is_malformed_and_not_asked_for(name: str) -> None:
    with Scripted({CATALOGUE: json(f'{{"repositories":["a","{name}"]}}')}) as server:
        api = distribution(server)
        with pytest.raises(Malformed):
            api.catalogue()
        with pytest.raises(Malformed):
            api.tags(name)
        assert len(server.requests) == 1


def test_pages_without_end_end() -> None:
    def endless(request: Request) -> Answer:
        number = int(request.asked("p") or 0) + 1
        return json('{"tags":[]}', Link=f'<{TAGS}?p={number}>; rel="next"')

    with Scripted(endless) as server:
        with pytest.raises(Malformed, match="never end"):
            distribution(server).tags("a")
        assert len(server.requests) < 200


def test_a_link_to_another_host_is_not_asked() -> None:
    with Foreign() as foreign, Scripted({}) as server:
        server.script = {TAGS: json('{"tags":["a"]}', Link=f'<{foreign.address}{TAGS}?last=a>; rel="next"')}
        with pytest.raises(Malformed, match="elsewhere"):
            distribution(server).tags("a")
        assert foreign.requests == []


def test_a_page_that_vanished_starts_the_list_anew() -> None:
    """zot answers 404 when the tag after which a page begins was deleted."""
    first = iter(["b", "c"])

    def script(request: Request) -> Answer:
        if not request.query:
            return json('{"tags":["a"]}', Link=f'<{TAGS}?last={next(first)}>; rel="next"')
        return Answer(status=404) if request.asked("last") == "b" else json('{"tags":["d"]}')

    with Scripted(script) as server:
        assert distribution(server).tags("a") == ("a", "d")


def test_a_list_that_keeps_vanishing_is_malformed() -> None:
    with Scripted({TAGS: json('{"tags":["a"]}', Link=f'<{TAGS}?last=a>; rel="next"')}) as server:
        with pytest.raises(Malformed, match="changed"):
            distribution(server).tags("a")
        assert len(server.requests) == 6


def test_every_manifest_type_is_accepted() -> None:
    with Scripted({"/v2/a/manifests/1": manifest(Docker_Content_Digest=DIGEST)}) as server:
        api = distribution(server)
        api.head("a", "1")
        api.manifest("a", "1")
        assert {request.headers["accept"] for request in server.requests} == {ACCEPT}


def test_a_manifest_by_tag_without_a_digest_gets_that_of_its_bytes() -> None:
    with Scripted({"/v2/a/manifests/1": manifest()}) as server:
        api = distribution(server)
        assert api.head("a", "1").digest is None
        assert api.manifest("a", "1").digest == DIGEST


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_manifest_by_digest_is_of_it(algorithm: str) -> None:
    digest = f"{algorithm}:{hashlib.new(algorithm, BODY).hexdigest()}"
    with Scripted({f"/v2/a/manifests/{digest}": manifest()}) as server:
        assert distribution(server).manifest("a", digest).content == BODY


@pytest.mark.parametrize("reference", ["1", OTHER])
def test_a_manifest_that_is_not_its_digest_is_malformed(reference: str) -> None:
    server = Scripted({f"/v2/a/manifests/{reference}": manifest(Docker_Content_Digest=OTHER)})
    with server, pytest.raises(Malformed, match="not of its digest"):
        distribution(server).manifest("a", reference)


def test_a_digest_that_is_none_is_malformed() -> None:
    with Scripted({"/v2/a/manifests/1": manifest(Docker_Content_Digest="sha256:../x")}) as server:
        for call in (distribution(server).head, distribution(server).manifest):
            with pytest.raises(Malformed):
                call("a", "1")


def test_schema_1_has_the_digest_that_the_server_says() -> None:
    script = {
        "/v2/a/manifests/1": manifest(media_type=SCHEMA1, Docker_Content_Digest=OTHER),
        "/v2/a/manifests/2": manifest(media_type=SCHEMA1),
    }
    with Scripted(script) as server:
        api = distribution(server)
        assert api.head("a", "1").is_schema1
        assert api.manifest("a", "1").digest == OTHER
        with pytest.raises(Malformed, match="schema 1"):
            api.manifest("a", "2")


def test_a_blob_is_read_from_where_it_is_kept_without_credentials() -> None:
    with Scripted({"/kept": Answer(body=b"x")}) as storage, Scripted({}) as server:
        digest = f"sha256:{hashlib.sha256(b'x').hexdigest()}"
        location = {"Location": f"{storage.address}/kept"}
        server.script = {f"/v2/a/blobs/{digest}": Answer(status=307, headers=location)}
        assert distribution(server).blob("a", digest) == b"x"
        server.script = {f"/v2/a/blobs/{OTHER}": Answer(status=307, headers=location)}
        with pytest.raises(Malformed, match="not of its digest"):
            distribution(server).blob("a", OTHER)
        assert all("authorization" not in request.headers for request in storage.requests)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=404),
        json('{"errors":[{"code":"NAME_INVALID"}]}', 400),
        Answer(status=405),
        Answer(headers={"Content-Type": "text/html"}, body=b"<html>"),
    ],
)
def test_a_server_without_referrers_is_asked_once(answer: Answer) -> None:
    with Scripted(lambda _: answer) as server:
        api = distribution(server)
        assert [api.referrers("a", digest) for digest in (DIGEST, OTHER)] == [(), ()]
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_referrers_that_can_not_be_told_are_an_error(status: int) -> None:
    with Scripted(lambda _: Answer(status=status)) as server, pytest.raises(RegistryError):
        distribution(server).referrers("a", DIGEST)


def test_referrers_come_in_pages() -> None:
    path = f"/v2/a/referrers/{DIGEST}"
    script = {
        path: json(f'{{"manifests":[{{"digest":"{OTHER}"}}]}}', Link=f'<{path}?page=2>; rel="next"'),
        f"{path}?page=2": json(f'{{"manifests":[{{"digest":"{DIGEST}"}}]}}'),
        f"/v2/a/referrers/{OTHER}": json('{"manifests":null}'),
    }
    with Scripted(script) as server:
        api = distribution(server)
        assert api.referrers("a", DIGEST) == (OTHER, DIGEST)
        assert api.referrers("a", OTHER) == ()


def deleting(answer: Answer, *, there: bool) -> Callable[[Request], Answer]:
    def script(request: Request) -> Answer:
        if request.method == "DELETE":
            return answer
        return manifest(Docker_Content_Digest=DIGEST) if there else Answer(status=404)

    return script


def test_a_delete_that_was_taken_tells_nothing() -> None:
    with Scripted(deleting(Answer(status=202), there=False)) as server:
        assert distribution(server).delete("a", DIGEST) is None
        assert [str(request) for request in server.requests] == [f"DELETE /v2/a/manifests/{DIGEST}"]


def test_what_the_registry_does_not_know_was_gone() -> None:
    unknown = json('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', 404)
    with Scripted(deleting(unknown, there=False)) as server:
        assert distribution(server).delete("a", DIGEST) == "was gone already"


def test_a_404_in_no_registrys_words_is_looked_after() -> None:
    nowhere = Answer(status=404, body=b"404 page not found")
    with Scripted(deleting(nowhere, there=False)) as server:
        assert distribution(server).delete("a", DIGEST) == "was gone already"
    with Scripted(deleting(nowhere, there=True)) as server, pytest.raises(Refused, match="still there"):
        distribution(server).delete("a", DIGEST)


def test_a_delete_whose_answer_was_lost_is_done_and_says_so() -> None:
    answers = iter([Answer(status=504), json('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', 404)])
    with Scripted(lambda _: next(answers)) as server:
        said = distribution(server).delete("a", DIGEST)
    assert said == "gone: a request without an answer did it"


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (json('{"errors":[{"code":"UNSUPPORTED"}]}', 405), Refused, "REGISTRY_STORAGE_DELETE_ENABLED"),
        (Answer(status=405, body=b"Method not allowed"), Refused, "read-only"),
        (json('{"errors":[{"code":"DENIED","message":"referenced"}]}', 405), Refused, "DENIED referenced$"),
        (json('{"errors":[{"code":"PRECONDITION","message":"immutable"}]}', 412), Refused, "immutable"),
        (json('{"errors":[{"code":"TAG_IMMUTABLE"}]}', 409), Refused, "TAG_IMMUTABLE"),
        (Answer(status=400), Refused, "400"),
        (Answer(status=403), Denied, "403"),
        (Answer(status=503), Unreachable, "gave up"),
    ],
)
def test_what_is_refused_for_good_is_told_from_what_failed(
    answer: Answer, error: type[RegistryError], says: str
) -> None:
    with Scripted(deleting(answer, there=True)) as server, pytest.raises(error, match=says):
        distribution(server).delete("a", DIGEST)


def test_a_tag_is_never_deleted_by_what_is_no_tag() -> None:
    with Scripted(lambda _: Answer(status=202)) as server:
        with pytest.raises(Malformed):
            distribution(server).delete_tag("a", DIGEST)
        with pytest.raises(Malformed):
            distribution(server).delete("a", "1")
        assert server.requests == []


def test_a_challenge_of_another_host_is_not_obeyed() -> None:
    with Foreign() as foreign, Scripted({}) as other, Scripted({}) as server:
        wish = {"WWW-Authenticate": f'Bearer realm="{foreign.address}/token"'}
        other.script = lambda _: Answer(status=401, headers=wish)
        server.script = lambda _: Answer(status=307, headers={"Location": f"{other.address}/x"})
        with pytest.raises(Denied):
            distribution(server).tags("a")
        assert foreign.requests == []


def test_a_throttled_list_is_waited_for() -> None:
    time = Time()
    answers = iter([Answer(status=429, headers={"Retry-After": "11"}), json('{"tags":["a"]}')])
    with Scripted(lambda _: next(answers)) as server:
        assert distribution(server, time=time).tags("a") == ("a",)
    assert time.now >= 11


def test_gone_is_gone() -> None:
    with Scripted({}) as server:
        api = distribution(server)
        assert not api.exists("a", DIGEST)
        with pytest.raises(Gone):
            api.manifest("a", DIGEST)
