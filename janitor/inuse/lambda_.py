"""Lambda: the image of every function of a region, and of every version that was published of it.

- Both what a version was given (``ImageUri``) and what that was resolved to (``ResolvedImageUri``) count: a
  tag may have moved since, and a function that was idle for long is made of its image again.
- A version that vanishes between the list and its own answer runs nothing. Any other that doesn't say its
  image is a problem; the others are read all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from janitor.errors import Gone, RegistryError, Stopped, Unreachable
from janitor.inuse.awsdoor import door, place
from janitor.inuse.interface import Context, Findings, Source
from janitor.inuse.keys import LambdaKeys
from janitor.net.aws import Meaning, Service
from janitor.net.awslists import Rejected, whole
from janitor.net.caller import Caller, Kind, Purpose
from janitor.parallel import each

# Lambda gives a function 100 times a second, and everything else 15 times, to all who ask together.
FUNCTIONS_PER_SECOND = 50.0
LISTS_PER_SECOND = 5.0
WORKERS = 8
PAGE = 50  # Lambda gives no more, whatever is asked for

_MEANINGS: dict[str, Meaning] = {"InvalidParameterValueException": (Kind.FINAL, Rejected)}
_ZIP = "Zip"


class _Answer(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What all answers have in common: names as AWS writes them; a key without a default must be there."""


class _Function(_Answer, frozen=True, kw_only=True):
    """One version of a function."""

    function_name: str
    function_arn: str
    version: str
    package_type: str

    def __str__(self) -> str:
        return f"{self.function_name}:{self.version}"


class _Functions(_Answer, frozen=True, kw_only=True):
    functions: tuple[_Function, ...]
    next_marker: str | None = None


class _Code(_Answer, frozen=True, kw_only=True):
    image_uri: str | None = None
    resolved_image_uri: str | None = None


class _Described(_Answer, frozen=True, kw_only=True):
    code: _Code


class LambdaSource(Source[LambdaKeys]):
    """The images of one region's functions."""

    kind: ClassVar[str] = "lambda"
    keys: ClassVar[type[msgspec.Struct]] = LambdaKeys

    @property
    def name(self) -> str:
        """``lambda: REGION``, and whose where the policy says it."""
        return f"lambda: {place(self._keys)}"

    def _read(self, found: Findings, context: Context, *, allow_empty: bool) -> None:  # noqa: ARG002 - the interface's
        lists = context.caller(requests_per_second=LISTS_PER_SECOND)
        functions = context.caller(requests_per_second=FUNCTIONS_PER_SECOND)
        with door(self._keys, context, lists) as aws:
            service = aws.service("lambda", _MEANINGS)
            images = [one for one in _listed(service, lists) if one.package_type != _ZIP]
            for told in each(lambda one: _described(service, functions, one), images, workers=WORKERS):
                if isinstance(told, str):
                    found.problems.append(told)
                    continue
                for text in told:
                    found.take(text)


def _listed(service: Service, caller: Caller) -> list[_Function]:
    """Every version of every function."""
    what = "the functions"

    def page(marker: str | None) -> tuple[Sequence[_Function], str | None]:
        token = {} if marker is None else {"Marker": marker}
        answer = service.ask(
            caller,
            "list_functions",
            _Functions,
            what,
            purpose=Purpose.LIST,
            FunctionVersion="ALL",
            MaxItems=PAGE,
            **token,
        )
        return answer.functions, answer.next_marker

    return whole(page, lambda function: f"{function.function_arn} {function.version}", what)


def _described(service: Service, caller: Caller, function: _Function) -> Sequence[str] | str:
    """The images of a version, none where it is gone; or what keeps them from being known, as one text."""
    try:
        answer = service.ask(
            caller,
            "get_function",
            _Described,
            f"the function {function}",
            purpose=Purpose.LIST,
            FunctionName=function.function_name,
            Qualifier=function.version,
        )
    except Gone:
        return ()
    except (Stopped, Unreachable):
        raise
    except RegistryError as error:
        return error.message
    images = tuple(filter(None, (answer.code.image_uri, answer.code.resolved_image_uri)))
    return images or f"the function {function} is made of an image, but doesn't say of which"
