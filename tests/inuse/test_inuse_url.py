from __future__ import annotations

import threading

import pytest

from janitor.core.use import SourceReading
from janitor.inuse.interface import Context
from janitor.inuse.keys import UrlKeys
from janitor.inuse.url import MAX_BYTES, UrlSource
from tests.net.scripted import Scripted, Time
from tests.simulators.server import Answer, Foreign


def read(url: str, *, endpoint: str | None = None, stopped: bool = False) -> SourceReading:
    time, stop = Time(), threading.Event()
    if stopped:
        stop.set()
    context = Context(sleep=time.sleep, clock=time.clock, random=lambda: 1.0, stop=stop)
    return UrlSource(UrlKeys(url=url, endpoint=endpoint)).read(context, allow_empty=False)


def names(reading: SourceReading) -> list[str]:
    assert reading.error is None
    return list(map(str, reading.references))


def text(body: str, status: int = 200, **headers: str) -> Answer:
    return Answer(status=status, headers={"Content-Type": "text/plain", **headers}, body=body.encode())


def test_a_list_counts_as_a_file_does() -> None:
    with Scripted({"/list": text("# what runs\r\n\r\nghcr.io/acme/app:1 # the app\nbusybox\n")}) as server:
        reading = read(f"{server.address}/list")
    assert names(reading) == ["ghcr.io/acme/app:1", "docker.io/library/busybox:latest"]
    assert reading.source == f"url: {server.address}/list"


def test_a_line_that_is_no_reference_closes_and_the_rest_protects() -> None:
    with Scripted({"/list": text("ghcr.io/acme/app:1\nghcr.io/acme/App:1\n")}) as server:
        reading = read(f"{server.address}/list")
        assert str(reading.error).startswith(f"{server.address}/list:2: ghcr.io/acme/App:1: ")
    assert list(map(str, reading.references)) == ["ghcr.io/acme/app:1"]


def test_an_empty_answer_is_an_answer_without_images() -> None:
    with Scripted({"/list": text("")}) as server:
        reading = read(f"{server.address}/list")
    assert (reading.error, reading.references) == (None, ())


@pytest.mark.parametrize(
    "answer",
    [
        Answer(headers={"Content-Type": "text/html; charset=utf-8"}, body=b"ghcr.io/acme/app:1"),
        text("<!DOCTYPE html><title>log in</title>"),
        text("\n  <html>\n"),
    ],
)
def test_a_page_for_people_closes(answer: Answer) -> None:
    with Scripted({"/list": answer}) as server:
        assert "a page for people" in str(read(f"{server.address}/list").error)


@pytest.mark.parametrize("status", [204, 400, 401, 403, 404, 410, 500])
def test_an_error_closes_and_says_its_status(status: int) -> None:
    with Scripted({"/list": text("ghcr.io/acme/app:1", status)}) as server:
        reading = read(f"{server.address}/list")
    assert str(status) in str(reading.error)
    assert reading.references == ()


def test_a_throttled_request_is_asked_again_after_as_long_as_it_says() -> None:
    answers = [text("", 429, **{"Retry-After": "7"}), text("ghcr.io/acme/app:1")]
    time = Time()
    with Scripted(lambda _: answers.pop(0)) as server:
        source = UrlSource(UrlKeys(url=server.address))
        reading = source.read(Context(sleep=time.sleep, clock=time.clock), allow_empty=False)
    assert names(reading) == ["ghcr.io/acme/app:1"]
    assert time.now >= 7


def test_an_answer_that_is_too_large_closes() -> None:
    with Scripted({"/list": text("#" * (MAX_BYTES + 1))}) as server:
        assert "more than" in str(read(f"{server.address}/list").error)


def test_a_redirect_is_followed_and_the_credentials_are_not_carried_elsewhere() -> None:
    with Foreign() as foreign:
        moved = Answer(status=302, headers={"Location": f"{foreign.address}/list"})
        with Scripted({"/list": moved}) as server:
            read(f"http://janitor:se%3Acret@{server.host}/list")
            (asked,) = server.requests
    assert asked.headers["authorization"] == "Basic amFuaXRvcjpzZTpjcmV0"
    assert len(foreign.requests) == 1
    assert foreign.credentials == []


def test_no_message_shows_what_may_be_secret() -> None:
    with Scripted({}) as server:
        reading = read(f"http://janitor:secret@{server.host}/list?token=hidden")
        assert server.requests[0].target == "/list?token=hidden"
    assert "404" in str(reading.error)
    for shown in (str(reading.error), reading.source):
        assert "secret" not in shown
        assert "hidden" not in shown


def test_an_endpoint_is_asked_instead_of_scheme_and_host() -> None:
    with Scripted({"/a/list?x=1": text("ghcr.io/acme/app:1")}) as server:
        reading = read("https://lists.example.com/a/list?x=1", endpoint=f"{server.address}/")
    assert names(reading) == ["ghcr.io/acme/app:1"]
    assert reading.source == "url: https://lists.example.com/a/list"


def test_a_server_that_is_not_there_closes() -> None:
    with Scripted({}) as server:
        address = server.address
    assert "gave up after" in str(read(address).error)


def test_nothing_is_asked_after_a_stop() -> None:
    with Scripted({"/": text("ghcr.io/acme/app:1")}) as server:
        reading = read(f"{server.address}/", stopped=True)
        assert server.requests == []
    assert "asked to stop" in str(reading.error)


@pytest.mark.parametrize("url", ["in-use.txt", "ftp://lists.example.com/a", "https:///x", "http://[::1"])
def test_what_is_no_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r"^url is ") as raised:
        UrlKeys(url=url)
    assert url not in str(raised.value)


def test_a_variable_that_is_not_filled_in_yet_is_no_mistake() -> None:
    assert UrlKeys(url="${IN_USE_URL}").url == "${IN_USE_URL}"
