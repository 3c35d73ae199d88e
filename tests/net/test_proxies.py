"""Which addresses go through a proxy."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from janitor.net.proxies import Proxies


def proxy(url: str, **environ: str) -> str | None:
    return Proxies(environ).of(urlsplit(url))


def test_each_scheme_has_its_own() -> None:
    environ = {"HTTPS_PROXY": "http://s:1", "HTTP_PROXY": "http://p:1"}
    assert proxy("https://r.example", **environ) == "http://s:1"
    assert proxy("http://r.example", **environ) == "http://p:1"


def test_none_is_none_and_small_letters_count() -> None:
    assert proxy("https://r.example") is None
    assert proxy("https://r.example", https_proxy="p:3128") == "http://p:3128"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "a.localhost"])
def test_loopback_never_goes_through_one(host: str) -> None:
    assert proxy(f"https://{host}:5000", HTTPS_PROXY="http://p:1") is None


@pytest.mark.parametrize(
    ("entries", "url", "direct"),
    [
        ("*", "https://r.example", True),
        ("r.example", "https://r.example:5000", True),
        ("example", "https://r.example", True),
        (".example", "https://r.example", True),
        ("*.example", "https://r.example", True),
        ("ample", "https://r.example", False),
        ("r.example:5000", "https://r.example:5000", True),
        ("r.example:5000", "https://r.example", False),
        ("r.example:443", "https://r.example", True),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.1.2.3", "https://10.1.2.3", True),
        ("fd00::/8", "https://[fd00::1]", True),
        (" other , R.EXAMPLE ", "https://r.example", True),
        ("", "https://r.example", False),
    ],
)
def test_no_proxy_names_hosts_domains_networks_and_ports(entries: str, url: str, *, direct: bool) -> None:
    assert (proxy(url, HTTPS_PROXY="http://p:1", NO_PROXY=entries) is None) is direct
