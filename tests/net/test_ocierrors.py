"""What a registry says, fit for a report."""

from __future__ import annotations

import pytest
import urllib3

from janitor.net.http import Response
from janitor.net.ocierrors import first_error


def answer(body: bytes, media_type: str = "application/json") -> Response:
    headers = urllib3.HTTPHeaderDict({"Content-Type": media_type})
    return Response(status=400, headers=headers, body=body, url="http://r.example/")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"errors":[{"code":"DENIED","message":"no right"}]}', "DENIED no right"),
        (b'{"errors":[{"code":"DENIED"},{"code":"OTHER"}]}', "DENIED"),
        (b'{"errors":[{"code":"X","message":"a","detail":"b"}]}', "X a (b)"),
        (b'{"errors":[{"code":"X","detail":{"Tag":"nope"}}]}', "X"),
        (b'{"errors":[{"code":412,"message":null}]}', "412"),
        (b'{"errors":[]}', ""),
        (b'{"details":"incorrect password"}', "incorrect password"),
        (b'{"message":"slow down"}', "slow down"),
        (b"404 page not found\n", "404 page not found"),
        (b"a\x1b[31mred\r\n\x00b\xe2\x80\xa8c", "a [31mred b c"),
        (b"<html>no</html>", ""),
        (b"  <!doctype html>", ""),
        (b"[]", "[]"),
        (b"", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_the_first_error_is_read_from_whatever_came(body: bytes, said: str) -> None:
    assert str(first_error(answer(body))) == said


def test_a_page_for_people_is_left_out() -> None:
    assert str(first_error(answer(b"sorry", "text/html; charset=utf-8"))) == ""


def test_it_is_cut() -> None:
    assert len(str(first_error(answer(b"x" * 10_000)))) < 400


def test_what_was_sent_is_not_shown() -> None:
    body = b'{"errors":[{"code":"DENIED","message":"Bearer hunter2 is not good"}]}'
    assert "hunter2" not in str(first_error(answer(body), ["", "hunter2"]))
