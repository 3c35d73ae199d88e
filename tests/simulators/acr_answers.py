"""Answers as an Azure registry words them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from tests.simulators.server import Answer


def timestamp(moment: datetime) -> str:
    """Seven digits below the second, zeros at their end left out."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    whole, dot, digits = text.partition(".")
    return f"{whole}{dot}{digits.rstrip('0')}Z" if dot else f"{whole}Z"


def link(target: str) -> dict[str, str]:
    return {"Link": f'<{target}>; rel="next"'}


def with_headers(answer: Answer, headers: Mapping[str, str]) -> Answer:
    return msgspec.structs.replace(answer, headers={**answer.headers, **headers})


def json_answer(document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    named = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return Answer(headers=named, body=json.dumps(document).encode())


def error(status: int, code: str, message: str, detail: Mapping[str, Any] | None = None) -> Answer:
    said: dict[str, Any] = {"code": code, "message": message}
    if detail is not None:
        said["detail"] = dict(detail)
    return msgspec.structs.replace(json_answer({"errors": [said]}), status=status)


def name_unknown(name: str) -> Answer:
    return error(404, "NAME_UNKNOWN", "repository name not known to registry", {"name": name})


def manifest_unknown(name: str, digest: str) -> Answer:
    message = f"manifest {digest} is not found"
    return error(404, "MANIFEST_UNKNOWN", message, {"Name": name, "Revision": digest})
