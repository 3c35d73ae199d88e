"""Whatever takes messages: it keeps what was posted, and answers what it was told to, last of all 200."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.simulators.server import Answer, Request, Server

SECRET = "T0A1B2C3D/B9Z8Y7X6W/abcDEFghiJKLmnoPQRstu"


class Webhook(Server):
    """One address, whose path is its secret."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__()
        self.answers = list(answers)
        self.url = f"{self.address}/services/{SECRET}?sig=s3cr3tSignature"

    def answer(self, request: Request) -> Answer:  # noqa: ARG002  the same to whatever is posted
        return self.answers.pop(0) if self.answers else Answer(body=b"ok")

    @property
    def messages(self) -> Sequence[Any]:
        """What was posted, read as JSON."""
        return [json.loads(request.body) for request in self.requests if request.method == "POST"]


def parts(url: str) -> list[str]:
    """Every part of an address that nobody may see."""
    return [url, *SECRET.split("/"), "s3cr3tSignature"]
