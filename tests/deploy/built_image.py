"""The image, built and run: ``make image-test``. Not collected with the other tests, for it fetches packages.

It must be root's to build, and what it is run as must be nobody's: a read-only root, no rights, and nothing
but the folders that the CronJob mounts.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import janitor
from tests.deploy.container import ENVIRONMENT, Builder, Container, child, context, wait_for
from tests.deploy.manifests import CRONJOB, ROOT, Document, containers, of_kind, program, read, rendered
from tests.instant import NOW
from tests.simulators.oci import OciServer
from tests.simulators.world import World

pytestmark = [pytest.mark.peer("buildah"), pytest.mark.peer("mmdebstrap")]

LIMIT = 150 * 10**6
NOBODY = 65532


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return context(tmp_path_factory.mktemp("context"))


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Iterator[Builder]:
    built = Builder(tmp_path_factory.mktemp("image"))
    try:
        built.build(checkout)
        yield built
    finally:
        built.close()


@pytest.fixture(scope="session")
def container(builder: Builder) -> Container:
    return Container(builder.unpack(), builder.config())


@pytest.fixture
def tmp(tmp_path: Path) -> Path:
    return _of_nobody(tmp_path / "tmp")


def _of_nobody(folder: Path) -> Path:
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    return folder


def done(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


def policies(folder: Path, endpoint: str, config: Document | None = None) -> Path:
    """Policies, by default the CronJob's, for a registry that is here; no cluster is asked."""
    config = config or of_kind(read(CRONJOB), "ConfigMap")[0]
    policy = yaml.safe_load(config["data"]["policies.yaml"])
    policy["registries"]["main"]["endpoint"] = endpoint
    del policy["protect"]["in_use"]
    folder.mkdir()
    (folder / "policies.yaml").write_text(yaml.safe_dump(policy))
    return folder


@pytest.fixture
def registry() -> Iterator[OciServer]:
    world = World(NOW)
    world.push("team/app", tags=["1.0.0"], created="2y")
    world.push("team/app", tags=["pr-1"], created="2y")
    with OciServer(world) as server:
        yield server


def arguments(*, live: bool = False) -> list[str]:
    """What the CronJob calls, before and after its one line is changed."""
    (found,) = containers(read(CRONJOB))
    return ["--delete" if live and each == "--dry-run" else each for each in found["args"]]


# --- what it is ---------------------------------------------------------------------------------------------


def test_the_image_says_what_it_is(builder: Builder) -> None:
    config = builder.config()
    assert config["User"] == f"{NOBODY}:{NOBODY}"
    assert config["Entrypoint"] == ["/usr/bin/python3", "-P", "-m", "janitor"]
    assert config["Labels"] == config["Labels"] | {
        "org.opencontainers.image.title": "registry janitor",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": janitor.__version__,
        "org.opencontainers.image.revision": "abc",
    }


def test_a_node_pulls_less_than_150_mb(builder: Builder) -> None:
    assert builder.compressed_bytes() < LIMIT


def test_the_code_is_roots_and_all_can_read_it(container: Container) -> None:
    paths = [path for path in (container.root / "app").rglob("*") if not path.is_symlink()]
    assert len(paths) > 1000
    assert [path for path in paths if (path.stat().st_uid, path.stat().st_gid) != (0, 0)] == []
    assert [path for path in paths if path.stat().st_mode & 0o022] == []
    assert [path for path in paths if path.stat().st_mode & 0o004 == 0] == []


def test_the_code_is_there_compiled_and_nothing_else_of_the_checkout(
    container: Container, checkout: Path
) -> None:
    app = container.root / "app"
    written = {path.relative_to(checkout) for path in (checkout / "janitor").rglob("*.py")}
    assert {path.relative_to(app) for path in (app / "janitor").rglob("*.py")} == written
    assert len(list((app / "janitor").rglob("*.cpython-313.pyc"))) == len(written)
    assert not {"tests", "docs", "pytest", "moto", "bin"} & {path.name for path in app.iterdir()}


# --- what it does -------------------------------------------------------------------------------------------


def test_it_says_its_version(container: Container, tmp: Path) -> None:
    assert done(container.start("--version", tmp=tmp, mounts={})) == (
        0,
        f"janitor {janitor.__version__}\n",
        "",
    )


def test_nothing_can_be_written_but_what_is_mounted(container: Container, tmp: Path) -> None:
    probe = (
        "import os, pathlib\n"
        "print(os.getpid(), os.getuid(), os.getgid(), os.getgroups())\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "print(status['CapEff'].strip(), status['NoNewPrivs'].strip())\n"
        "for place in ('/', '/app', '/app/janitor', '/home', '/policies', '/tmp'):\n"
        "    try:\n"
        "        pathlib.Path(place, 'x').touch()\n"
        "        print(place)\n"
        "    except OSError:\n"
        "        pass\n"
    )
    python = container.config["Entrypoint"][0]
    code, output, errors = done(container.start("-c", probe, tmp=tmp, mounts={}, command=[python]))
    assert (code, errors) == (0, "")
    assert output.splitlines() == [f"1 {NOBODY} {NOBODY} []", "0000000000000000 1", "/tmp"]  # noqa: S108 - in it


def test_every_provider_and_every_sdk_can_be_loaded(container: Container, tmp: Path) -> None:
    probe = (
        "from janitor.kinds import kinds\n"
        "import azure.identity, boto3, google.auth, google.cloud.artifactregistry_v1, grpc, re2, ssl\n"
        "boto3.client('ecr', region_name='eu-west-1'); boto3.client('sts', region_name='eu-west-1')\n"
        "kinds(); print(ssl.OPENSSL_VERSION.split()[0])\n"
    )
    python = container.config["Entrypoint"][0]
    code, output, errors = done(container.start("-P", "-c", probe, tmp=tmp, mounts={}, command=[python]))
    assert (code, output) == (0, "OpenSSL\n"), errors


def test_it_checks_policies(container: Container, tmp: Path, tmp_path: Path, registry: OciServer) -> None:
    mounts = {policies(tmp_path / "policies", registry.address): "/policies"}
    code, output, errors = done(container.start("check", "/policies", tmp=tmp, mounts=mounts))
    assert code == 0, errors
    assert "3 rules in 1 file" in output


def test_as_the_cronjob_calls_it_it_plans_and_live_it_deletes(
    container: Container, tmp: Path, tmp_path: Path, registry: OciServer
) -> None:
    state = _of_nobody(tmp_path / "state")
    mounts = {policies(tmp_path / "policies", registry.address): "/policies", state: "/state"}
    before = tags(registry)
    code, output, errors = done(container.start(*arguments(), tmp=tmp, mounts=mounts))
    assert (code, tags(registry)) == (0, before), errors
    assert "pr-1" in output
    code, output, errors = done(container.start(*arguments(live=True), tmp=tmp, mounts=mounts))
    assert (code, tags(registry)) == (0, before - {"pr-1"}), errors + output
    assert list(state.glob("janitor/runs/*/journal.jsonl"))
    assert list(tmp.iterdir()) == []


def test_shards_share_the_folder_and_their_reports_are_put_together(
    container: Container, tmp: Path, tmp_path: Path, registry: OciServer
) -> None:
    jobs = {
        each["metadata"]["name"]: each for each in of_kind(rendered("deploy/overlays/sharded"), "CronJob")
    }
    (run,), (report,) = (list(containers([jobs[name]])) for name in ("janitor", "janitor-report"))
    state = _of_nobody(tmp_path / "state")
    mounts = {policies(tmp_path / "policies", registry.address): "/policies", state: "/state"}
    for index in range(8):
        part = [each.replace("$(JOB_COMPLETION_INDEX)", str(index)) for each in run["args"]]
        code, _, errors = done(container.start(*part, tmp=tmp, mounts=mounts))
        assert code == 0, errors
    code, output, errors = done(container.start(*report["args"], tmp=tmp, mounts={state: "/state"}))
    assert code == 0, errors
    assert "pr-1" in output
    assert (state / "report.html").stat().st_size > 0


def test_the_daemon_answers_what_its_probes_ask_and_ends_when_it_is_told_to(
    container: Container, tmp: Path, tmp_path: Path, registry: OciServer
) -> None:
    (found,) = containers(rendered("deploy/overlays/daemon"))
    (config,) = of_kind(rendered("deploy/overlays/daemon"), "ConfigMap")
    folder = policies(tmp_path / "policies", registry.address, config)
    mounts = {folder: "/policies", _of_nobody(tmp_path / "state"): "/state"}
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    called = [f"--listen={address}" if each.startswith("--listen=") else each for each in found["args"]]
    process = container.start(*called, tmp=tmp, mounts=mounts)
    try:
        wait_for(lambda: _asked(address, found["livenessProbe"]["httpGet"]["path"]) == "ok\n")
        assert _asked(address, found["readinessProbe"]["httpGet"]["path"]) == "ready\n"
        assert "janitor_serve_policies_valid 1\n" in _asked(address, "/metrics")
    finally:
        os.kill(child(process), signal.SIGTERM)
        code, _, errors = done(process)
    assert code == 128 + signal.SIGTERM, errors


def _asked(address: str, path: str) -> str:
    """The answer; nothing as long as nobody listens."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:
        return ""


def test_as_process_1_it_ends_when_it_is_told_to(
    container: Container, tmp: Path, tmp_path: Path, registry: OciServer
) -> None:
    """Process 1 has no default for SIGTERM: without a handler the kubelet would wait, and kill."""
    registry.world.fault("error", times=10_000)  # asked for again and again, for minutes
    mounts = {
        policies(tmp_path / "policies", registry.address): "/policies",
        _of_nobody(tmp_path / "state"): "/state",
    }
    process = container.start(*arguments(), tmp=tmp, mounts=mounts)
    wait_for(lambda: registry.requests)
    os.kill(child(process), signal.SIGTERM)
    code, _, errors = done(process)
    assert code == 128 + signal.SIGTERM, errors


def tags(registry: OciServer) -> set[str]:
    return set(registry.world["team/app"].tags)


# --- arm64 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["aarch64-unknown-linux-gnu", "x86_64-unknown-linux-gnu"])
def test_what_is_locked_resolves_to_wheels_for(platform: str, tmp_path: Path) -> None:
    """By the resolver that builds the image, as it would on such a machine."""
    everything = tmp_path / "requirements.txt"
    exported = ["export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--project", str(ROOT)]
    uv(*exported, "--output-file", str(everything))
    options = [
        "--python-platform",
        platform,
        "--python-version",
        "3.13",
        "--only-binary",
        ":all:",
        "--no-deps",
    ]
    files = ["--require-hashes", "--requirements", str(everything), "--target", str(tmp_path / "to")]
    assert " + grpcio==" in uv("pip", "install", "--dry-run", *options, *files)


def uv(*arguments: str) -> str:
    called = subprocess.run(
        [program("uv"), *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300
    )
    assert called.returncode == 0, called.stderr
    return called.stderr
