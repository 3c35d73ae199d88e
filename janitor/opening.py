"""From policy files to opened registries, narrowed to what a run wants to see."""

from __future__ import annotations

import contextlib
import difflib
import threading
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from janitor.core.pattern import PatternError, PatternKind, PatternList
from janitor.core.policy import Policy, PolicySet, RegistrySpec
from janitor.core.report import ErrorReport
from janitor.errors import RegistryError, UsageError
from janitor.kinds import kinds
from janitor.policyfile import load
from janitor.premises import Opened, wanted_fields
from janitor.providers import PROVIDERS
from janitor.providers.interface import Context, ManifestMemory, RepositoryFilter, Shard


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What of the policies' registries a run wants; empty: all. ``shard`` is (index from 0, count)."""

    registries: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    shard: tuple[int, int] | None = None
    concurrency: int = 16
    deleting: bool = False


def load_policies(paths: Sequence[str], environ: Mapping[str, str]) -> PolicySet:
    """Read the policies of a run; errors: PolicyError."""
    return load(paths, environ, kinds())


@contextlib.contextmanager
def open_registries(
    policies: PolicySet,
    request: Request,
    environ: Mapping[str, str],
    stop: threading.Event,
    memory: ManifestMemory,
) -> Iterator[tuple[list[Opened], list[ErrorReport]]]:
    """Open what the request names of the registries that some policy covers, and close it afterwards.

    A registry that can't be opened is an error in the list, the others are opened. Errors: UsageError, when
    the request names what isn't there, or wants to delete in a file.
    """
    specs = [spec for spec in _named(policies, request.registries) if _covering(policies, spec)]
    narrowed = _patterns(request.repositories, PatternKind.REPOSITORY, "--repository")
    context = Context(environ=environ, stop=stop, concurrency=request.concurrency, memory=memory)
    opened: list[Opened] = []
    errors: list[ErrorReport] = []
    try:
        for spec in specs:
            try:
                registry = PROVIDERS[spec.provider].open(spec, context)
            except RegistryError as error:
                errors.append(ErrorReport(registry=spec.name, code=error.code, message=error.message))
                continue
            if request.deleting and not registry.abilities.deletes:
                raise UsageError(
                    f"{spec.where}: registry {spec.name} ({spec.provider}) is only read, nothing can be "
                    "deleted in it: leave out --delete, or choose other registries with --registry"
                )
            covering = _covering(policies, spec)
            only = RepositoryFilter(
                covered=tuple(policy.repositories for policy in covering),
                narrowed=narrowed,
                shard=_shard(request, spec),
            )
            rules = [rule for policy in covering for rule in policy.rules]
            wanted = wanted_fields(rules, registry)
            opened.append(Opened(spec=spec, registry=registry, only=only, wanted=wanted))
        yield opened, errors
    finally:
        for one in opened:
            one.registry.close()


def _shard(request: Request, spec: RegistrySpec) -> Shard | None:
    if request.shard is None:
        return None
    index, count = request.shard
    return Shard(registry=spec.name, index=index, count=count)


def _covering(policies: PolicySet, spec: RegistrySpec) -> list[Policy]:
    return [policy for policy in policies.policies if policy.registries.selects(spec.name)]


def _named(policies: PolicySet, names: tuple[str, ...]) -> list[RegistrySpec]:
    """The registries that ``--registry`` names, in the order of the files."""
    patterns = _patterns(names, PatternKind.NAME, "--registry")
    if patterns is None:
        return list(policies.registries)
    known = [spec.name for spec in policies.registries]
    for name in names:
        if not name.startswith("!") and not any(
            PatternList.of((name,), PatternKind.NAME).selects(each) for each in known
        ):
            meant = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {meant[0]}?" if meant else f"there are: {', '.join(known)}"
            raise UsageError(f"--registry {name}: no registry of the policies is called so; {hint}")
    return [spec for spec in policies.registries if patterns.selects(spec.name)]


def _patterns(texts: tuple[str, ...], kind: PatternKind, option: str) -> PatternList | None:
    if not texts:
        return None
    try:
        patterns = PatternList.of(texts, kind)
    except PatternError as error:
        raise UsageError(f"{option}: {error}") from error
    if all(pattern.negated for pattern in patterns.patterns):
        everything = "**" if kind is PatternKind.REPOSITORY else "*"
        raise UsageError(f'{option}: these only leave out; add {option} "{everything}"')
    return patterns
