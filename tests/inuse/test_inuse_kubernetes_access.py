"""By which ways a cluster is reached, and who asks."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from janitor.core.use import SourceReading
from janitor.inuse.interface import Context
from janitor.inuse.keys import KubernetesKeys
from janitor.inuse.kubernetes import KubernetesSource
from tests.net.scripted import Scripted, Time
from tests.simulators.authority import Authority
from tests.simulators.kubernetes import KubernetesServer
from tests.simulators.server import Answer, Foreign

APP = "registry.example.com/team/app:1.0"
BETA = "client.authentication.k8s.io/v1beta1"
STABLE = "client.authentication.k8s.io/v1"


@pytest.fixture
def server() -> Iterator[KubernetesServer]:
    with KubernetesServer(accepts={"Bearer good"}) as served:
        served.cluster.pod("app", APP)
        yield served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "kube"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def read(
    environ: Mapping[str, str] | None = None, *, service_account: Path = Path("/nowhere"), **keys: Any
) -> SourceReading:
    time = Time()
    context = Context(environ=environ or {}, sleep=time.sleep, clock=time.clock, random=lambda: 1.0)
    source = KubernetesSource(KubernetesKeys(**keys), service_account=service_account)
    return source.read(context, allow_empty=False)


def good(reading: SourceReading) -> bool:
    assert reading.error is None
    return list(map(str, reading.references)) == [APP]


def error(reading: SourceReading) -> str:
    assert reading.references == ()
    assert reading.error is not None
    return reading.error


def config(
    path: Path,
    server: str,
    user: Mapping[str, Any] | None = None,
    cluster: Mapping[str, Any] | None = None,
    *,
    name: str = "prod",
) -> str:
    """A kubeconfig of one context. -> its path."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name if user is not None else ""}}],
        "clusters": [{"name": name, "cluster": {"server": server, **(cluster or {})}}],
        "users": [{"name": name, "user": dict(user)}] if user is not None else None,
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)


def plugin(folder: Path, answer: Mapping[str, Any] | str, *, name: str = "login", code: int = 0) -> Path:
    """A program that answers so, and keeps what it was told beside it."""
    said = answer if isinstance(answer, str) else json.dumps(answer)
    path = folder / name
    path.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> "{folder}/arguments"\n'
        f'printf "%s" "$KUBERNETES_EXEC_INFO" > "{folder}/info"\n'
        f'printf "%s" "$EXTRA" > "{folder}/extra"\n'
        f"cat <<'END'\n{said}\nEND\n"
        f"echo 'log in first' >&2\nexit {code}\n"
    )
    path.chmod(0o755)
    return path


def credential(version: str = STABLE, **status: str) -> dict[str, Any]:
    return {"apiVersion": version, "kind": "ExecCredential", "status": status}


def calls(folder: Path) -> int:
    return len((folder / "arguments").read_text().splitlines())


# --- server, with files


def test_a_server_is_asked_with_the_token_of_a_file(server: KubernetesServer, folder: Path) -> None:
    (folder / "token").write_text("good\n")
    reading = read(server=server.address, token_file=str(folder / "token"))
    assert good(reading)
    assert reading.source == f"kubernetes: {server.address}"


def test_a_server_may_let_in_anybody(server: KubernetesServer) -> None:
    server.accepts = set()
    assert good(read(server=server.address))
    assert all("authorization" not in each.headers for each in server.requests)


def test_a_token_file_is_read_for_each_request(server: KubernetesServer, folder: Path) -> None:
    """A kubelet replaces it while a run lasts."""
    (folder / "token").write_text("good")
    server.chunk = 1
    server.cluster.pod("other", APP)
    answer = server.answer

    def replacing(request: Any) -> Answer:
        given = answer(request)
        number = len(server.requests)
        server.accepts = {f"Bearer good-{number}"}
        (folder / "token").write_text(f"good-{number}")
        return given

    server.answer = replacing  # type: ignore[method-assign] # a server that changes its mind
    assert good(read(server=server.address, token_file=str(folder / "token")))


def test_a_token_that_is_not_known_closes_at_once(server: KubernetesServer, folder: Path) -> None:
    (folder / "token").write_text("bad")
    reading = read(server=server.address, token_file=str(folder / "token"))
    assert "401" in error(reading)
    assert "not known there" in error(reading)
    assert len(server.requests) == 1


@pytest.mark.parametrize("content", [None, "", "a\nb"])
def test_a_file_without_a_token_closes_and_asks_nothing(
    server: KubernetesServer, folder: Path, content: str | None
) -> None:
    if content is not None:
        (folder / "token").write_text(content)
    assert str(folder / "token") in error(read(server=server.address, token_file=str(folder / "token")))
    assert server.requests == []


def test_credentials_are_not_carried_to_another_host(folder: Path) -> None:
    (folder / "token").write_text("good")
    with Foreign() as foreign:
        away = Answer(status=302, headers={"Location": f"{foreign.address}/login"})
        with Scripted(lambda _: away) as server:
            reading = read(server=server.address, token_file=str(folder / "token"))
        assert foreign.credentials == []
    assert "another host" in error(reading)


@pytest.mark.parametrize("body", [b"<html>log in</html>", b'{"kind":"Status","apiVersion":"v1"}', b"[]"])
def test_what_is_no_list_closes(body: bytes) -> None:
    with Scripted(lambda _: Answer(headers={"Content-Type": "application/json"}, body=body)) as server:
        assert "did not send the JSON" in error(read(server=server.address))


def test_a_list_of_another_version_closes() -> None:
    body = b'{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"items":[]}'
    with Scripted(lambda _: Answer(body=body)) as server:
        assert "Table of meta.k8s.io/v1" in error(read(server=server.address))


@pytest.mark.parametrize("item", [b"1", b'{"metadata":{}}', b'{"metadata":[]}', b'{"spec":{}}', b"null"])
def test_a_list_of_what_is_no_object_closes(item: bytes) -> None:
    body = b'{"kind":"JobList","apiVersion":"batch/v1","metadata":{},"items":[' + item + b"]}"
    with Scripted(lambda _: Answer(body=body)) as server:
        assert "no object of a cluster" in error(read(server=server.address))


def test_a_list_that_is_null_is_empty() -> None:
    def answer(request: Any) -> Answer:
        version = request.path.removeprefix("/apis/").removeprefix("/api/").rpartition("/")[0]
        document = {"kind": "List", "apiVersion": version, "metadata": {}, "items": None}
        return Answer(body=json.dumps(document).encode())

    with Scripted(answer) as server:
        reading = read(server=server.address)
    assert (reading.error, reading.references) == (None, ())


@pytest.mark.parametrize(
    "keys",
    [
        {"server": "https://a", "context": "b"},
        {"server": "https://a", "kubeconfig": "b"},
        {"token_file": "a"},
        {"ca_file": "a", "context": "b"},
        {"server": "10.0.0.1:6443"},
        {"endpoint": "ftp://a"},
    ],
)
def test_keys_that_contradict_one_another_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"server|go with|begins with"):
        KubernetesKeys(**keys)


# --- in a cluster


def in_cluster(folder: Path, server: KubernetesServer, authority: Authority) -> dict[str, str]:
    (folder / "token").write_text("good")
    (folder / "ca.crt").write_bytes(authority.certificate)
    host, _, port = server.host.partition(":")
    return {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}


def test_a_pod_asks_its_own_cluster_as_its_service_account(folder: Path, authority: Authority) -> None:
    tls = authority.server(folder, "localhost")
    with KubernetesServer(accepts={"Bearer good"}, tls=tls) as server:
        server.cluster.pod("app", APP)
        reading = read(in_cluster(folder, server, authority), service_account=folder)
    assert good(reading)
    assert reading.source == "kubernetes: in-cluster"


def test_a_cluster_of_another_authority_is_not_asked(folder: Path, authority: Authority) -> None:
    with KubernetesServer(tls=Authority("another").server(folder, "localhost")) as server:
        reading = read(in_cluster(folder, server, authority), service_account=folder)
        assert "isn't trusted" in error(reading)
        assert server.requests == []


def test_an_endpoint_is_asked_instead_of_the_cluster_s_address(
    server: KubernetesServer, folder: Path, authority: Authority
) -> None:
    in_cluster(folder, server, authority)
    assert good(read(service_account=folder, endpoint=server.address))


def test_outside_of_a_cluster_nothing_is_guessed(server: KubernetesServer, home: Path) -> None:
    """Not even the current context: it may be any cluster."""
    (home / ".kube").mkdir()
    config(home / ".kube" / "config", server.address, {"token": "good"})
    assert "this is no pod" in error(read({"HOME": str(home)}))


def test_a_pod_without_a_service_account_s_token_closes(folder: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert f"{folder}/token" in error(read(environ, service_account=folder))


# --- a context


def test_a_context_is_found_in_the_file_that_is_named(server: KubernetesServer, folder: Path) -> None:
    file = config(folder / "config", server.address, {"token": "good"})
    reading = read(context="prod", kubeconfig=file)
    assert good(reading)
    assert reading.source == "kubernetes: prod"


def test_a_file_alone_means_its_current_context(server: KubernetesServer, folder: Path) -> None:
    file = config(folder / "config", server.address, {"token": "good"})
    reading = read(kubeconfig=file)
    assert good(reading)
    assert reading.source == f"kubernetes: {file}"


def test_a_context_is_found_at_home(server: KubernetesServer, home: Path) -> None:
    (home / ".kube").mkdir()
    config(home / ".kube" / "config", server.address, {"token": "good"})
    assert good(read({"HOME": str(home)}, context="prod"))


def test_of_several_files_the_first_counts_and_one_may_be_missing(
    server: KubernetesServer, folder: Path
) -> None:
    files = [
        str(folder / "missing"),
        config(folder / "a", server.address, {"token": "good"}),
        config(folder / "b", "http://127.0.0.1:9", {"token": "bad"}),
        config(folder / "c", "http://127.0.0.1:9", {"token": "bad"}, name="other"),
    ]
    environ = {"KUBECONFIG": ":".join(files)}
    assert good(read(environ, context="prod"))
    unknown = error(read(environ, context="staging"))
    assert "there is no context 'staging'; there are other, prod" in unknown


def test_an_endpoint_is_asked_instead_of_the_context_s_server(server: KubernetesServer, folder: Path) -> None:
    file = config(folder / "config", "https://10.0.0.1:6443", {"token": "good"})
    assert good(read(kubeconfig=file, endpoint=server.address))


@pytest.mark.parametrize(
    "user",
    [
        {"token": "good"},
        {"tokenFile": "token"},  # relative to the kubeconfig
        {"tokenFile": "token", "token": "stale"},
        {"token": "good", "username": "u", "password": "p"},
        {"token": "good", "exec": {"apiVersion": STABLE, "command": "never-run"}},
    ],
)
def test_a_user_s_token_is_sent(server: KubernetesServer, folder: Path, user: dict[str, Any]) -> None:
    (folder / "token").write_text("good")
    assert good(read(kubeconfig=config(folder / "config", server.address, user)))


def test_a_user_s_password_is_sent(server: KubernetesServer, folder: Path) -> None:
    server.accepts = {f"Basic {base64.b64encode(b'u:p:w').decode()}"}
    user = {"username": "u", "password": "p:w"}
    assert good(read(kubeconfig=config(folder / "config", server.address, user)))


def test_a_context_may_have_no_user(server: KubernetesServer, folder: Path) -> None:
    server.accepts = set()
    assert good(read(kubeconfig=config(folder / "config", server.address)))


@pytest.mark.parametrize("as_data", [True, False])
def test_a_user_s_certificate_is_shown_and_the_cluster_s_authority_trusted(
    folder: Path, authority: Authority, *, as_data: bool
) -> None:
    pair = authority.issue("janitor")
    parts = {
        "certificate-authority": authority.certificate,
        "client-certificate": pair.certificate,
        "client-key": pair.key,
    }
    said = {}
    for name, content in parts.items():
        (folder / name).write_bytes(content)
        said[name] = name
    if as_data:
        said = {f"{name}-data": base64.b64encode(content).decode() for name, content in parts.items()}
    cluster = {name: said.pop(name) for name in list(said) if name.startswith("certificate-authority")}
    with KubernetesServer(tls=authority.server(folder, "localhost", asks=True)) as server:
        server.cluster.pod("app", APP)
        assert good(read(kubeconfig=config(folder / "config", server.address, said, cluster)))
        without = config(folder / "without", server.address, {}, cluster)
        assert "localhost" in error(read(kubeconfig=str(without)))


def test_a_cluster_s_authority_is_trusted_alone_but_for_ssl_cert_file(
    folder: Path, authority: Authority
) -> None:
    other = base64.b64encode(Authority("another").certificate).decode()
    (folder / "ours.pem").write_bytes(authority.certificate)
    with KubernetesServer(tls=authority.server(folder, "localhost")) as server:
        server.cluster.pod("app", APP)
        file = config(folder / "config", server.address, cluster={"certificate-authority-data": other})
        assert "isn't trusted" in error(read(kubeconfig=file))
        trusting = {"SSL_CERT_FILE": str(folder / "ours.pem")}
        assert good(read(trusting, kubeconfig=file))
        assert good(read(trusting, kubeconfig=config(folder / "plain", server.address)))


def test_a_cluster_s_name_may_differ_from_its_address(folder: Path, authority: Authority) -> None:
    data = base64.b64encode(authority.certificate).decode()
    with KubernetesServer(tls=authority.server(folder, "kubernetes.default.svc")) as server:
        server.cluster.pod("app", APP)
        cluster = {"certificate-authority-data": data}
        assert "isn't trusted" in error(
            read(kubeconfig=config(folder / "config", server.address, cluster=cluster))
        )
        cluster["tls-server-name"] = "kubernetes.default.svc"
        assert good(read(kubeconfig=config(folder / "config", server.address, cluster=cluster)))


def test_a_context_may_trust_anybody(folder: Path) -> None:
    with KubernetesServer(tls=Authority().server(folder, "elsewhere")) as server:
        server.cluster.pod("app", APP)
        file = config(folder / "config", server.address, cluster={"insecure-skip-tls-verify": True})
        assert good(read(kubeconfig=file))


def test_a_cluster_s_own_proxy_comes_before_the_environment_s(folder: Path) -> None:
    with Scripted(lambda _: Answer(status=403, body=b"no way")) as proxy:
        file = config(folder / "config", "http://cluster.example", cluster={"proxy-url": proxy.address})
        environ = {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "cluster.example"}
        assert "403" in error(read(environ, kubeconfig=file))
        assert proxy.requests[0].target.startswith("http://cluster.example/")


def test_the_environment_s_proxy_holds() -> None:
    with Scripted(lambda _: Answer(status=403)) as proxy:
        assert "403" in error(read({"HTTP_PROXY": proxy.address}, server="http://cluster.example"))
        assert proxy.requests[0].target.startswith("http://cluster.example/")


# --- exec plugins


@pytest.mark.parametrize("version", [STABLE, BETA])
def test_a_plugin_gives_the_token(server: KubernetesServer, folder: Path, version: str) -> None:
    plugin(folder, credential(version, token="good"))
    spec = {
        "apiVersion": version,
        "command": "login",
        "args": ["get-token", "--cluster", "a b"],
        "env": [{"name": "EXTRA", "value": "more"}],
        "interactiveMode": "IfAvailable",
    }
    file = config(folder / "config", server.address, {"exec": spec})
    assert good(read({"PATH": f"{folder}:/bin:/usr/bin"}, kubeconfig=file))
    assert (folder / "arguments").read_text() == "get-token --cluster a b\n"
    assert (folder / "extra").read_text() == "more"
    info = json.loads((folder / "info").read_text())
    assert info == {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}


def test_a_plugin_may_stand_beside_the_kubeconfig(server: KubernetesServer, folder: Path) -> None:
    plugin(folder, credential(token="good"))
    spec = {"apiVersion": STABLE, "command": "./login"}
    file = config(folder / "config", server.address, {"exec": spec})
    assert good(read({"PATH": "/bin:/usr/bin"}, kubeconfig=file))


def test_a_plugin_that_wants_to_know_the_cluster_is_told(
    server: KubernetesServer, folder: Path, authority: Authority
) -> None:
    plugin(folder, credential(token="good"))
    (folder / "ca.crt").write_bytes(authority.certificate)
    spec = {"apiVersion": STABLE, "command": "./login", "provideClusterInfo": True}
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "me"}}
    cluster = {"certificate-authority": "ca.crt", "extensions": [extension]}
    file = config(folder / "config", server.address, {"exec": spec}, cluster)
    assert good(read({"PATH": "/bin:/usr/bin"}, kubeconfig=file))
    assert json.loads((folder / "info").read_text())["spec"]["cluster"] == {
        "server": server.address,
        "certificate-authority-data": base64.b64encode(authority.certificate).decode(),
        "config": {"audience": "me"},
    }


def test_a_plugin_may_give_a_certificate(folder: Path, authority: Authority) -> None:
    pair = authority.issue("janitor")
    status = {"clientCertificateData": pair.certificate.decode(), "clientKeyData": pair.key.decode()}
    plugin(folder, credential(**status))
    spec = {"apiVersion": STABLE, "command": "./login"}
    data = base64.b64encode(authority.certificate).decode()
    with KubernetesServer(tls=authority.server(folder, "localhost", asks=True)) as server:
        server.cluster.pod("app", APP)
        cluster = {"certificate-authority-data": data}
        file = config(folder / "config", server.address, {"exec": spec}, cluster)
        assert good(read({"PATH": "/bin:/usr/bin"}, kubeconfig=file))


def test_a_plugin_is_asked_once_and_again_when_its_token_ended(
    server: KubernetesServer, folder: Path
) -> None:
    plugin(folder, credential(token="good"))
    spec = {"apiVersion": STABLE, "command": "./login"}
    file = config(folder / "config", server.address, {"exec": spec})
    assert good(read({"PATH": "/bin:/usr/bin"}, kubeconfig=file))
    assert calls(folder) == 1
    answer = server.answer

    def ending(request: Any) -> Answer:
        if request.path.endswith("/pods") and "Bearer good" in server.accepts:
            server.accepts = {"Bearer better"}
            plugin(folder, credential(token="better"))
        return answer(request)

    server.answer = ending  # type: ignore[method-assign] # a server that changes its mind
    assert good(read({"PATH": "/bin:/usr/bin"}, kubeconfig=file))
    assert calls(folder) == 3


def test_a_plugin_whose_token_is_never_good_closes(server: KubernetesServer, folder: Path) -> None:
    plugin(folder, credential(token="bad"))
    spec = {"apiVersion": STABLE, "command": "./login"}
    file = config(folder / "config", server.address, {"exec": spec})
    assert "not known there" in error(read({"PATH": "/bin:/usr/bin"}, kubeconfig=file))
    assert calls(folder) == 2
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("no JSON: secret", "did not answer with an ExecCredential"),
        (credential(BETA, token="secret"), f"answered in '{BETA}'"),
        (credential(), "neither a token nor a certificate"),
        (credential(token="", clientCertificateData="secret"), "neither a token nor a certificate"),
    ],
)
def test_a_plugin_that_gives_nothing_good_closes_and_nothing_of_it_is_shown(
    server: KubernetesServer, folder: Path, answer: Any, said: str
) -> None:
    plugin(folder, answer)
    spec = {"apiVersion": STABLE, "command": "./login"}
    file = config(folder / "config", server.address, {"exec": spec})
    found = error(read({"PATH": "/bin:/usr/bin"}, kubeconfig=file))
    assert said in found
    assert "secret" not in found
    assert server.requests == []


def test_a_plugin_that_fails_closes_with_what_it_said(server: KubernetesServer, folder: Path) -> None:
    plugin(folder, credential(token="secret"), code=3)
    spec = {"apiVersion": STABLE, "command": "./login"}
    file = config(folder / "config", server.address, {"exec": spec})
    found = error(read({"PATH": "/bin:/usr/bin"}, kubeconfig=file))
    assert "gave no credentials (3): log in first" in found
    assert "secret" not in found
    assert calls(folder) == 1


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"apiVersion": STABLE, "command": "gone", "installHint": "get\nit"},
            "gone isn't on the PATH: get it",
        ),
        ({"apiVersion": STABLE, "command": "./gone"}, "./gone can't be started"),
        ({"apiVersion": STABLE, "command": ""}, "no command isn't on the PATH"),
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "login"}, "known are"),
        ({"apiVersion": STABLE, "command": "login", "interactiveMode": "Always"}, "asks a person"),
    ],
)
def test_a_plugin_that_cannot_be_asked_closes(
    server: KubernetesServer, folder: Path, spec: dict[str, Any], said: str
) -> None:
    file = config(folder / "config", server.address, {"exec": spec})
    assert said in error(read({"PATH": "/bin:/usr/bin"}, kubeconfig=file))


# --- kubeconfigs that can't be used


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no current context"),
        ("a: [", "is no YAML"),
        ("contexts: secret", "is not as kubectl writes it"),
        ("current-context: gone", "there is no context 'gone'; there are none"),
        (
            "{current-context: a, contexts: [{name: a, context: {cluster: b}}]}",
            "there is no cluster 'b'; there are none",
        ),
        (
            "{current-context: a, contexts: [{name: a, context: {cluster: b}}], clusters: [{name: b}]}",
            "the cluster b has no server",
        ),
        (
            """
            current-context: a
            contexts: [{name: a, context: {cluster: b, user: c}}]
            clusters: [{name: b, cluster: {server: 'https://x'}}]
            """,
            "there is no user 'c'",
        ),
    ],
)
def test_a_kubeconfig_that_says_too_little_closes(folder: Path, text: str, said: str) -> None:
    (folder / "config").write_text(text)
    found = error(read(kubeconfig=str(folder / "config")))
    assert said in found
    assert str(folder / "config") in found
    assert "secret" not in found


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"auth-provider": {"name": "gcp"}}, "auth-provider"),
        ({"as": "admin", "token": "t"}, "as somebody else"),
        ({"client-certificate-data": "YQ=="}, "not both"),
        ({"client-certificate-data": "x", "client-key-data": "YQ=="}, "no base64"),
        ({"client-certificate": "gone"}, "can't read client-certificate"),
        ({"tokenFile": "gone"}, "can't read the token"),
    ],
)
def test_a_user_that_cannot_be_used_closes(folder: Path, user: dict[str, Any], said: str) -> None:
    assert said in error(read(kubeconfig=config(folder / "config", "https://127.0.0.1:9", user)))


@pytest.mark.parametrize(
    ("user", "cluster", "said"),
    [
        ({"client-certificate-data": "YQ==", "client-key-data": "YQ=="}, {}, "don't fit"),
        ({}, {"certificate-authority-data": "YQ=="}, "is no certificate"),
        ({}, {"proxy-url": "socks5://127.0.0.1:9"}, "proxy-url"),
    ],
)
def test_what_is_no_certificate_or_proxy_closes(
    folder: Path, user: dict[str, Any], cluster: dict[str, Any], said: str
) -> None:
    assert said in error(read(kubeconfig=config(folder / "config", "https://127.0.0.1:9", user, cluster)))


def test_a_kubeconfig_that_is_not_there_closes(folder: Path) -> None:
    assert f"{folder}/gone" in error(read(kubeconfig=f"{folder}/gone"))
    assert f"{folder}/gone" in error(read({"KUBECONFIG": f"{folder}/gone"}, context="a"))
    assert "neither KUBECONFIG nor HOME" in error(read(context="a"))
