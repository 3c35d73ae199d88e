"""The real Chromium without a window, driven over a pipe by its DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/: commands and events are JSON, each with a NUL behind it,
on descriptors 3 and 4. No port is opened, and nothing is installed beside the browser itself.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PATIENCE_S = 60.0
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # as root, in a container, there is none to be had
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)


class Page:
    """One tab. ``complaints`` are what its console said; ``asked`` are the addresses that it asked for."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.complaints: list[str] = []
        self.asked: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Mapping[str, Any]:
        """Ask, and take in the events that come before the answer."""
        return self._browser.call(method, params, self)

    @property
    def session(self) -> str:
        return self._session

    def open(self, address: str, *, width: int = 1200, height: int = 900, theme: str = "light") -> None:
        """Show what stands at an address, and wait until it is all there."""
        scheme = [{"name": "prefers-color-scheme", "value": theme}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call("Page.navigate", url=address)
        end = time.monotonic() + _PATIENCE_S
        while not self.value("document.readyState === 'complete' && location.href !== 'about:blank'"):
            assert time.monotonic() < end, f"{address} is not shown"

    def value(self, expression: str) -> Any:
        """What an expression comes to in the page; the browser's own script, whatever the page allows."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def shoot(self, path: Path, *, whole: bool = False) -> None:
        """Write down what it looks like, as PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def heard(self, event: Mapping[str, Any]) -> None:
        """Take in what happened."""
        params = event["params"]
        match event["method"]:
            case "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(f"{params['entry']['level']}: {params['entry']['text']}")
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(params))
            case "Page.javascriptDialogOpening":
                self.complaints.append(f"dialog: {params['message']}")


class Browser:
    """A running browser."""

    def __init__(self, write: int, read: int) -> None:
        self._write = write
        self._read = read
        self._buffer = b""
        self._number = 0

    def page(self) -> Page:
        """Open a tab."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})
        return Page(self, attached["sessionId"])

    def call(self, method: str, params: Mapping[str, Any], page: Page | None = None) -> Mapping[str, Any]:
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if page is not None:
            message["sessionId"] = page.session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == number:
                assert "error" not in told, f"{method}: {told['error']}"
                result: Mapping[str, Any] = told["result"]
                return result
            if page is not None and told.get("sessionId") == page.session:
                page.heard(told)

    def _next(self) -> Mapping[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], _PATIENCE_S)
            piece = os.read(self._read, 1 << 20) if ready else b""
            assert piece, "the browser says nothing any more"
            self._buffer += piece
        text, _, self._buffer = self._buffer.partition(b"\0")
        told: Mapping[str, Any] = json.loads(text)
        return told


@contextmanager
def browsing() -> Iterator[Browser]:
    """Start the browser with a profile of its own, and end it by its process."""
    program = shutil.which("chromium")
    assert program is not None
    there, write = os.pipe()
    read, back = os.pipe()
    with tempfile.TemporaryDirectory(prefix="janitor-chromium-", ignore_cleanup_errors=True) as folder:
        # The shell puts the two descriptors where the browser looks for them.
        line = [program, *_OPTIONS, f"--user-data-dir={folder}"]
        process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{there} 4>&{back}', "bash", *line],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(there, back),
            env={**os.environ, "HOME": folder},
        )
        os.close(there)
        os.close(back)
        try:
            yield Browser(write, read)
        finally:
            os.close(write)  # an end of its input ends the browser
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(read)
