"""An ``acr`` registry opened at its simulator, with clocks that only tests move."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from janitor.core.image import Image
from janitor.core.pattern import PatternKind, PatternList
from janitor.core.report import OutcomeKind
from janitor.providers.acr.registry import Acr
from janitor.providers.interface import Context, Field, Registry, RepositoryFilter, Result, Unit
from janitor.providers.keys import AcrKeys
from tests.conformance.stages import Time
from tests.factories import registry_spec
from tests.simulators.acr import SERVICE, AcrServer
from tests.simulators.server import Answer, Request

EVERYTHING = RepositoryFilter(covered=(PatternList.of(["**"], PatternKind.REPOSITORY),))
ALL_FIELDS = frozenset(Field)


def opened(
    server: AcrServer,
    *,
    environ: Mapping[str, str] | None = None,
    spec: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    **keys: Any,
) -> Acr:
    time = Time()
    settings: dict[str, Any] = {
        "environ": server.environ if environ is None else environ,
        "concurrency": 4,
        "sleep": time.sleep,
        "clock": time.clock,
        "random": lambda: 1.0,
        "now": lambda: server.world.now,
    }
    named = {"registry": SERVICE, "endpoint": server.address, **keys}
    return Acr.open(
        registry_spec(provider="acr", keys=AcrKeys(**named), **(spec or {})),
        Context(**{**settings, **(context or {})}),
    )


def listing(registry: Registry, repository: str = "a", wanted: frozenset[Field] = frozenset()) -> list[Image]:
    (found,) = registry.list(Unit(name=repository), wanted)
    return list(found.images)


def image(registry: Registry, digest: str, repository: str = "a") -> Image:
    return next(each for each in listing(registry, repository) if each.digest == digest)


def deleted(registry: Registry, *images: Image, repository: str = "a") -> dict[str, Result]:
    return {result.digest: result for result in registry.delete(repository, images)}


def outcomes(results: Mapping[str, Result]) -> dict[str, OutcomeKind]:
    return {digest: result.outcome for digest, result in results.items()}


class Rewriting(AcrServer):
    """Answers as told by a function of what would have been answered."""

    rewrite: Callable[[Request, Answer], Answer] = staticmethod(lambda _, answer: answer)

    def answer(self, request: Request) -> Answer:
        return self.rewrite(request, super().answer(request))
