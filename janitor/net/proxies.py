"""Which proxy an address goes through: ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``.

Names count in capitals or small letters. ``NO_PROXY`` holds hosts (with their subdomains), addresses and
networks, each with a port if it is meant alone, or ``*``. Loopback never goes through a proxy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import SplitResult

DEFAULT_PORTS = {"http": 80, "https": 443}


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Proxies:
    """Which proxy an address goes through, by the environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        def value(name: str) -> str:
            return environ.get(name) or environ.get(name.lower()) or ""

        self._of_scheme = {
            scheme: proxy if "://" in proxy else f"http://{proxy}"
            for scheme in ("http", "https")
            if (proxy := value(f"{scheme.upper()}_PROXY") or value("ALL_PROXY"))
        }
        self._except = [entry.strip().lower() for entry in value("NO_PROXY").split(",") if entry.strip()]

    def of(self, parts: SplitResult) -> str | None:
        """Tell the URL of the proxy that an address goes through, or None."""
        proxy = self._of_scheme.get(parts.scheme)
        if proxy is None:
            return None
        host = (parts.hostname or "").rstrip(".")
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        if is_loopback(host) or any(_excepts(entry, host, port) for entry in self._except):
            return None
        return proxy


def _excepts(entry: str, host: str, port: int) -> bool:
    """Whether one entry of NO_PROXY names the host: ``*``, host, .domain, address or network, with a port."""
    if entry == "*":
        return True
    try:
        if ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False):
            return True
    except ValueError:
        pass
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit() and (":" not in name or name.endswith("]")):
        if int(wanted) != port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*").strip(".")
    return host == entry or host.endswith(f".{entry}")
