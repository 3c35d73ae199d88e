"""Google Artifact Registry over a world: gRPC by the messages of Google's own client, the registry by HTTP.

A repository of the world is called ``REPOSITORY/IMAGE``: what stands before the first slash is the service's
repository, the rest the image's name. Every request is kept with its message and metadata; faults match
``VERB Method resource`` (``DELETE DeleteTag projects/…``).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote, unquote

import grpc
import msgspec
from google.cloud import artifactregistry_v1 as ar
from google.cloud.location import locations_pb2
from google.iam.v1 import iam_policy_pb2
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2

from tests.simulators.gar_packages import Packages
from tests.simulators.gar_registry import GarRegistry
from tests.simulators.gar_rest import GarRest
from tests.simulators.gar_rules import (
    PERMISSIONS,
    Refusal,
    Refused,
    batch_refusal,
    delete,
    missing,
    refusal,
    tag_refusal,
)
from tests.simulators.gar_wire import (
    Operation,
    after,
    before,
    children,
    raw_type,
    resource,
    timestamp,
    told,
    unwrapped,
    verb,
)
from tests.simulators.started import Started, choose
from tests.simulators.truth import Fault, FaultKind, Repository
from tests.simulators.world import World

PROJECT, LOCATION = "acme", "europe-west1"
_SERVICE = "google.devtools.artifactregistry.v1.ArtifactRegistry"
_DOCKER, _INDEX = 1, "index"
_PAGE_LIMIT = 1000  # what is asked beyond it is cut, not refused
_RELATED_TAGS = 100  # a version tells no more of its tags


class Settings(msgspec.Struct, kw_only=True):
    """What one of the service's repositories is; numbers are the service's own enumerations.

    ``uri``: what ``registry_uri`` says; default: where this simulator serves the registry over HTTP.
    """

    format: int = _DOCKER
    mode: int = 1
    immutable: bool = False
    cleans: bool = False
    uri: str | None = None


class Flavour(msgspec.Struct, frozen=True, kw_only=True):
    """Habits that aren't the same in every region and year.

    ``page``: no page has more, so that few images make several. ``tells_children``: listings hold
    ``image_manifests``. ``polls``: an operation is done when it was asked after so often; ``None``: never,
    though what it is for is done. ``late``: refusals come in the operation, not in the call. ``gaps``: so
    many empty pages come before each that holds something. ``shown_tags``: a listing tells no more of an
    image's tags; nobody says that it tells all.
    """

    name: str
    page: int = 3
    tells_children: bool = True
    polls: int | None = 0
    late: bool = False
    gaps: int = 0
    shown_tags: int | None = None
    batch: int = 75


USUAL = Flavour(name="usual")
SLOW = Flavour(name="slow", polls=2, late=True)
BARE = Flavour(name="bare", tells_children=False)
FLAVOURS: Mapping[str, Flavour] = {flavour.name: flavour for flavour in (USUAL, SLOW, BARE)}


class Method(NamedTuple):
    """What a method is asked by, and what answers it."""

    request: Any
    answer: Callable[[Any], Any]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it arrived."""

    method: str
    request: Any
    metadata: Mapping[str, str]


@contextmanager
def serve(world: World, port: int, flavour: str | None) -> Iterator[Started]:
    """The servers that are started by hand: of any project and location, with pages as large as the real."""
    # An image has a name below the repository's.
    names = {name: name if "/" in name else f"images/{name}" for name in world.repositories}
    if len(set(names.values())) < len(names):
        raise SystemExit("repositories have one name when those without a / are put below images/")
    renamed = " ".join(f"{old}={new}" for old, new in names.items() if old != new)
    world.repositories = {names[name]: place for name, place in world.repositories.items()}
    locked = {name.partition("/")[0] for name, place in world.repositories.items() if place.locked}
    chosen = msgspec.structs.replace(choose(FLAVOURS, flavour, USUAL.name), page=_PAGE_LIMIT)
    settings = {name: Settings(immutable=True) for name in locked}
    with GarServer(world, chosen, settings=settings, port=port) as server, GarRest(server) as rest:
        server.anybody = True
        facts = {"registry_endpoint": server.registry.address, "rest_endpoint": rest.address}
        facts |= {"project": PROJECT, "location": LOCATION} | ({"renamed": renamed} if renamed else {})
        yield Started(address=server.address, facts=facts)


class GarServer:
    """One project and location, served from when it is made until :meth:`close`.

    ``settings``: of the service's repositories; those that the world names are there anyway. ``rights``:
    permissions that one has; ``None``: all. ``token``: what must be sent; ``None``: nothing. ``keys``: the
    PEM of a key and a certificate, to speak TLS.
    """

    def __init__(
        self,
        world: World | None = None,
        flavour: Flavour = USUAL,
        *,
        settings: Mapping[str, Settings] | None = None,
        project: str = PROJECT,
        location: str = LOCATION,
        token: str | None = None,
        keys: tuple[bytes, bytes] | None = None,
        port: int = 0,
    ) -> None:
        self.world = world or World()
        self.flavour = flavour
        self.settings = dict(settings or {})
        self.rights: frozenset[str] | None = None
        self.used: set[str] = set()  # permissions that were asked for so far
        self.token = token
        self.calls: list[Call] = []
        self.arriving: Callable[[str], None] = lambda _: None  # called with each request's method
        self.anybody = False  # every project and location is this one: those of the last request
        self.parent = f"projects/{project}/locations/{location}"
        self.project = project.replace(":", "/")
        self.registry = GarRegistry(self)
        self._operations: dict[str, Operation] = {}
        self._tokens: dict[str, tuple[int, int]] = {}  # where a page begins, and how many gaps come before
        self._numbers = itertools.count(1)
        self._server = grpc.server(
            ThreadPoolExecutor(max_workers=16),
            options=[("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)],
        )
        services = self._services()
        self.methods = {name: method for methods in services.values() for name, method in methods.items()}
        self._server.add_generic_rpc_handlers(
            tuple(
                grpc.method_handlers_generic_handler(service, {name: self._handler(name) for name in methods})
                for service, methods in services.items()
            )
        )
        if keys is None:
            bound = self._server.add_insecure_port(f"127.0.0.1:{port}")
        else:
            bound = self._server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([keys]))
        self.port = bound
        self.address = f"http://127.0.0.1:{bound}"
        self._server.start()

    def asked(self, *methods: str) -> list[Any]:
        """The requests so far by these methods, in order."""
        return [call.request for call in self.calls if call.method in methods]

    def close(self) -> None:
        self._server.stop(None).wait()
        self.registry.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def move_to(self, name: str) -> None:
        """Answer from now on as the project and location of a resource, where anybody may ask."""
        kind, project, *rest = [*name.split("/"), "", ""][:4]
        if not self.anybody or kind != "projects" or not project:
            return
        said = rest[1] if rest[:1] == ["locations"] else ""
        # A hyphen means all of them, and one answers.
        location = said if said not in {"", "-"} else self.parent.rpartition("/")[2]
        self.parent = f"projects/{project}/locations/{location}"
        self.project = project.replace(":", "/")

    def may(self, right: str) -> bool:
        """Whether one has a permission; notes that it was needed."""
        self.used.add(right)
        return self.rights is None or right in self.rights

    def repositories(self) -> dict[str, Settings]:
        """The service's repositories, those that the world names and those that are only set."""
        named = dict.fromkeys(name.partition("/")[0] for name in self.world.repositories)
        return {name: self.settings.get(name, Settings()) for name in sorted({*named, *self.settings})}

    def _services(self) -> dict[str, dict[str, Method]]:
        """All that is served, by the service that it is of."""
        own: dict[str, Callable[[Any], Any]] = {
            "ListRepositories": self._list_repositories,
            "GetRepository": self._get_repository,
            "ListDockerImages": self._list_docker_images,
            "GetDockerImage": self._get_docker_image,
            "ListVersions": self._list_versions,
            "GetVersion": self._get_version,
            "ListTags": self._list_tags,
            "GetTag": self._get_tag,
            "CreateTag": self._create_tag,
            "DeleteTag": self._delete_tag,
            "DeleteVersion": self._delete_version,
            "BatchDeleteVersions": self._batch_delete_versions,
            **Packages(self).methods,
        }
        methods = {
            method: Method(raw_type(getattr(ar, f"{method}Request")), answer)
            for method, answer in own.items()
        }
        rights = iam_policy_pb2.TestIamPermissionsRequest
        methods["TestIamPermissions"] = Method(rights, self._test_permissions)
        get = Method(operations_pb2.GetOperationRequest, self._get_operation)
        places = Method(locations_pb2.ListLocationsRequest, self._list_locations)
        return {
            _SERVICE: methods,
            "google.longrunning.Operations": {"GetOperation": get},
            "google.cloud.location.Locations": {"ListLocations": places},
        }

    def perform(self, method: str, request: Any, metadata: Mapping[str, str]) -> Any:
        """The answer to a request, which may be a refusal."""
        self.move_to(resource(request))
        return self._forbidden(method, request, metadata) or _refusing(self.methods[method].answer, request)

    def _handler(self, method: str) -> grpc.RpcMethodHandler:
        def serve(request: Any, context: grpc.ServicerContext) -> bytes:
            metadata = {item.key: str(item.value) for item in context.invocation_metadata()}
            self.calls.append(Call(method=method, request=request, metadata=metadata))
            fault = self.world.strike(f"{verb(method)} {method} {resource(request)}")
            if fault is not None and (spoilt := before(fault)) is not None:
                context.abort_with_status(spoilt)
            with self.world.lock:
                self.arriving(method)
                answered = self.perform(method, request, metadata)
                if isinstance(answered, Refusal):
                    context.abort(answered.status, answered.message)
                if fault is not None:
                    answered = self._spoilt(fault, request, answered)
            if fault is not None and (lost := after(fault)) is not None:
                context.abort_with_status(lost)
            body: bytes = unwrapped(answered).SerializeToString()
            # A message that was cut is none: the last field of it is missing an end.
            return body[:-1] if fault is not None and fault.kind is FaultKind.CUT_JSON else body

        decode = self.methods[method].request.FromString
        return grpc.unary_unary_rpc_method_handler(serve, decode, lambda body: body)

    def _forbidden(self, method: str, request: Any, metadata: Mapping[str, str]) -> Refusal | None:
        if self.token is not None and metadata.get("authorization") != f"Bearer {self.token}":
            return Refusal(grpc.StatusCode.UNAUTHENTICATED, "Request had invalid authentication credentials.")
        right = PERMISSIONS[method]
        if right is not None and not self.may(right):
            where = resource(request)
            return Refusal(
                grpc.StatusCode.PERMISSION_DENIED,
                f"Permission '{right}' denied on resource '{where}' (or it may not exist).",
            )
        return None

    def _spoilt(self, fault: Fault, request: Any, answer: Any) -> Any:
        """The answer of a listing, with a token that leads nowhere new."""
        raw = unwrapped(answer)
        if fault.kind not in {FaultKind.LOST_PAGE, FaultKind.REPEATED_PAGE, FaultKind.ENDLESS_PAGE}:
            return answer
        at, _ = self._tokens.get(request.page_token, (0, 0))
        if fault.kind is FaultKind.LOST_PAGE:
            raw.next_page_token = ""
        elif fault.kind is FaultKind.REPEATED_PAGE:
            raw.next_page_token = request.page_token or self._token(at)
        else:
            raw.next_page_token = self._token(at)
        return raw

    def _token(self, at: int, gaps: int = 0) -> str:
        token = f"token-{next(self._numbers)}"
        self._tokens[token] = at, gaps
        return token

    def page(self, request: Any, entries: Sequence[Any], usual: int = 100) -> tuple[list[Any], str]:
        if request.page_size < 0:
            raise Refused(Refusal(grpc.StatusCode.INVALID_ARGUMENT, "page_size must not be negative"))
        at, gaps = 0, self.flavour.gaps
        if request.page_token:
            if request.page_token not in self._tokens:
                raise Refused(Refusal(grpc.StatusCode.INVALID_ARGUMENT, "Invalid page token"))
            at, gaps = self._tokens[request.page_token]
        if gaps:
            return [], self._token(at, gaps - 1)
        size = min(request.page_size or usual, _PAGE_LIMIT, self.flavour.page)
        page = list(entries[at : at + size])
        return page, self._token(at + size, self.flavour.gaps) if at + size < len(entries) else ""

    def _list_repositories(self, request: Any) -> Any:
        parent = request.parent
        if self.anybody:
            parent = parent.replace("/locations/-", f"/locations/{self.parent.rpartition('/')[2]}")
        if parent != self.parent:
            return Refusal(grpc.StatusCode.PERMISSION_DENIED, f"denied on {request.parent}")
        page, token = self.page(request, [self._repository(name) for name in self.repositories()])
        return ar.ListRepositoriesResponse(repositories=page, next_page_token=token)

    def _get_repository(self, request: Any) -> Any:
        return self._repository(self.place(request.name, ""))

    def _repository(self, name: str) -> Any:
        settings = self.repositories()[name]
        policies = {"old": {"id": "old", "action": "DELETE"}} if settings.cleans else {}
        return ar.Repository(
            name=f"{self.parent}/repositories/{name}",
            format_=settings.format,
            mode=settings.mode,
            docker_config={"immutable_tags": settings.immutable},
            cleanup_policies=policies,
            registry_uri=self._uri(name),
        )

    def _uri(self, name: str) -> str:
        told = self.settings[name].uri if name in self.settings else None
        return told if told is not None else f"{self.registry.host}/{self.project}/{name}"

    def _list_docker_images(self, request: Any) -> Any:
        place = self.place(request.parent, "")
        if self.repositories()[place].mode == 2:
            return Refusal(grpc.StatusCode.FAILED_PRECONDITION, "not supported on virtual repositories")
        found = [
            (digest, full)
            for full, held in self.world.repositories.items()
            if full.partition("/")[0] == place
            for digest in held.manifests
        ]
        # The images of all names are mixed.
        page, token = self.page(request, sorted(found))
        images = [self._image(full, digest) for digest, full in page]
        return ar.ListDockerImagesResponse(docker_images=images, next_page_token=token)

    def _get_docker_image(self, request: Any) -> Any:
        place, _, named = request.name.removeprefix(f"{self.parent}/repositories/").partition(
            "/dockerImages/"
        )
        name, _, digest = named.partition("@")
        full = f"{place}/{unquote(name)}"
        if "/" in name or digest not in self.at(full).manifests:
            return missing(request.name)
        return self._image(full, digest)

    def _image(self, full: str, digest: str) -> Any:
        place, _, name = full.partition("/")
        repository = self.world[full]
        held = repository.manifests[digest]
        tags = sorted(repository.tags_of(digest))
        moved = [repository.tagged_at[tag] for tag in tags if tag in repository.tagged_at]
        # An index is given neither size nor time of build, an artifact no time of build.
        is_index = "index" in held.media_type or "list" in held.media_type
        return ar.DockerImage(
            name=f"{self.parent}/repositories/{place}/dockerImages/{quote(name, safe='')}@{digest}",
            uri=f"{self._uri(place)}/{name}@{digest}",
            tags=tags[: self.flavour.shown_tags],
            image_size_bytes=0 if is_index else held.size_bytes or 0,
            upload_time=timestamp(held.pushed_at),
            media_type=held.media_type,
            build_time=timestamp(held.created_at) if held.type == "image" else None,
            update_time=timestamp(max([*moved, *([held.pushed_at] if held.pushed_at else [])], default=None)),
            # A manifest that has a subject is never without.
            artifact_type=held.artifact_type or (held.media_type if held.subject else ""),
            image_manifests=list(children(held)) if self.flavour.tells_children else [],
        )

    def _list_versions(self, request: Any) -> Any:
        full = self.full(request.parent)
        page, token = self.page(request, sorted(self.at(full).manifests))
        versions = [self._version_of(request.parent, full, digest, request.view) for digest in page]
        return ar.ListVersionsResponse(versions=versions, next_page_token=token)

    def _get_version(self, request: Any) -> Any:
        package, _, digest = request.name.partition("/versions/")
        full = self.full(package)
        if digest not in self.at(full).manifests:
            return missing(request.name)
        return self._version_of(package, full, digest, request.view)

    def _version_of(self, package: str, full: str, digest: str, view: int) -> Any:
        held = self.at(full).manifests[digest]
        name = f"{package}/versions/{digest}"
        tags = sorted(self.at(full).tags_of(digest))[:_RELATED_TAGS] if view == ar.VersionView.FULL else []
        return ar.Version(
            name=name,
            create_time=timestamp(held.pushed_at),
            related_tags=[{"name": f"{package}/tags/{tag}", "version": name} for tag in tags],
        )

    def _list_tags(self, request: Any) -> Any:
        tags = sorted(self.at(self.full(request.parent)).tags.items())
        wanted = request.filter.removeprefix('version="').removesuffix('"')
        found = [
            {"name": f"{request.parent}/tags/{tag}", "version": f"{request.parent}/versions/{digest}"}
            for tag, digest in tags
            if not request.filter or wanted == f"{request.parent}/versions/{digest}"
        ]
        page, token = self.page(request, found, 35)
        return ar.ListTagsResponse(tags=page, next_page_token=token)

    def _get_tag(self, request: Any) -> Any:
        package, _, tag = request.name.partition("/tags/")
        digest = self.at(self.full(package)).tags.get(unquote(tag))
        if digest is None:
            return missing(request.name)
        return ar.Tag(name=request.name, version=f"{package}/versions/{digest}")

    def _create_tag(self, request: Any) -> Any:
        full = self.full(request.parent)
        tag, digest = unquote(request.tag_id), request.tag.version.partition("/versions/")[2]
        if tag in self.at(full).tags:
            return Refusal(grpc.StatusCode.ALREADY_EXISTS, "the tag already exists")
        if digest not in self.at(full).manifests:
            return missing(request.tag.version)
        self.world.retag(full, tag, digest)
        return ar.Tag(name=f"{request.parent}/tags/{tag}", version=request.tag.version)

    def _delete_tag(self, request: Any) -> Any:
        package, _, tag = request.name.partition("/tags/")
        full = self.full(package)
        if unquote(tag) not in self.at(full).tags:
            return missing(request.name)
        if refused := tag_refusal(self.settings_of(full).immutable):
            return refused
        self.at(full).untag(unquote(tag))
        return empty_pb2.Empty()

    def _delete_version(self, request: Any) -> Any:
        package, _, digest = request.name.partition("/versions/")
        full = self.full(package)
        if digest not in self.at(full).manifests:
            return missing(request.name)

        def run() -> Refusal | None:
            refused = refusal(
                self.at(full), digest, force=request.force, immutable=self.settings_of(full).immutable
            )
            if refused is None:
                delete(self.world, full, [digest])
            return refused

        return self.begun(run, ar.OperationMetadata())

    def _batch_delete_versions(self, request: Any) -> Any:
        full = self.full(request.parent)
        if len(request.names) > self.flavour.batch:
            return Refusal(grpc.StatusCode.INVALID_ARGUMENT, "too many versions in one request")
        digests = [name.partition("/versions/")[2] for name in request.names]

        def run() -> Refusal | None:
            # It succeeds even for what the service would refuse.
            if request.validate_only:
                return None
            refused = batch_refusal(self.at(full), digests, immutable=self.settings_of(full).immutable)
            if refused is None:
                delete(self.world, full, digests)
            return refused

        return self.begun(run, ar.BatchDeleteVersionsMetadata())

    def begun(self, run: Callable[[], Refusal | None], metadata: Any) -> Any:
        polls = self.flavour.polls
        operation = Operation(
            name=f"{self.parent}/operations/{next(self._numbers)}", run=run, metadata=metadata, polls=polls
        )
        self._operations[operation.name] = operation
        if not polls:
            operation.refusal = run()
            operation.done = polls == 0
        if operation.refusal is not None and not self.flavour.late:
            return operation.refusal
        return told(operation)

    def _get_operation(self, request: Any) -> Any:
        operation = self._operations.get(request.name)
        if operation is None:
            return missing(request.name)
        if not operation.done and operation.polls is not None:
            operation.polls -= 1
            if operation.polls <= 0:
                operation.refusal, operation.done = operation.run(), True
        return told(operation)

    def _list_locations(self, request: Any) -> Any:
        name = self.parent.rpartition("/")[2]
        location = locations_pb2.Location(name=f"{request.name}/locations/{name}", location_id=name)
        return locations_pb2.ListLocationsResponse(locations=[location])

    def _test_permissions(self, request: Any) -> Any:
        self.place(request.resource, "")
        held = [right for right in request.permissions if self.rights is None or right in self.rights]
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=held)

    def place(self, name: str, below: str) -> str:
        """The service's repository of a resource's name; a slash that isn't escaped leads nowhere."""
        place, _, rest = name.removeprefix(f"{self.parent}/repositories/").partition("/")
        if not name.startswith(f"{self.parent}/repositories/") or place not in self.repositories():
            raise Refused(missing(name))
        if rest.count("/") != below.count("/") + bool(below):
            raise Refused(missing(name))
        return place

    def full(self, package: str) -> str:
        place = self.place(package, "packages")
        return f"{place}/{unquote(package.rpartition('/')[2])}"

    def at(self, full: str) -> Repository:
        return self.world.repositories.get(full) or Repository()

    def settings_of(self, full: str) -> Settings:
        return self.repositories()[full.partition("/")[0]]


def _refusing(answer: Callable[[Any], Any], request: Any) -> Any:
    try:
        return answer(request)
    except Refused as refused:
        return refused.refusal
