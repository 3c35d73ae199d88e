"""Credentials by a program that a kubeconfig names, as kubectl asks such plugins.

The program gets ``KUBERNETES_EXEC_INFO`` and answers on standard output with an ExecCredential of the version
that the kubeconfig says: a token, a certificate with its key, or both. It is run when credentials are first
needed, and once more when they were refused. It can't ask a person: there may be none.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from janitor.decoding import decode
from janitor.errors import Denied
from janitor.net.kubeaccess import Certificate
from janitor.redaction import redact

TIMEOUT_S = 30.0  # some ask a cloud

_VERSIONS = frozenset({"client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"})


class _Variable(msgspec.Struct, kw_only=True):
    name: str
    value: str = ""


class ExecSpec(msgspec.Struct, kw_only=True, rename="camel"):
    """What a kubeconfig says of a plugin."""

    api_version: str = ""
    command: str = ""
    args: list[str] | None = None
    env: list[_Variable] | None = None
    provide_cluster_info: bool | None = None
    interactive_mode: str | None = None
    install_hint: str | None = None


class _Status(msgspec.Struct, kw_only=True, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None


class _Credential(msgspec.Struct, kw_only=True, rename="camel"):
    api_version: str = ""
    status: _Status | None = None


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    header: str | None
    certificate: Certificate | None


class ExecPlugin:
    """A user's plugin. ``told``: whose it is. ``folder``: the kubeconfig's. ``cluster``: what it may know."""

    def __init__(
        self,
        spec: ExecSpec,
        told: str,
        *,
        folder: Path,
        cluster: Mapping[str, Any],
        environ: Mapping[str, str],
    ) -> None:
        self._spec = spec
        self._told = told
        self._folder = folder
        self._cluster = cluster
        self._environ = environ
        self._given: _Given | None = None

    def header(self) -> str | None:
        """Return the token's header."""
        return self._credentials().header

    def certificate(self) -> Certificate | None:
        """Return the certificate that the plugin gave."""
        return self._credentials().certificate

    def renew(self) -> bool:
        """Ask the plugin again."""
        refused, self._given = self._given, None
        return self._credentials() != refused

    def _credentials(self) -> _Given:
        if self._given is None:
            self._given = self._read(self._run())
        return self._given

    def _run(self) -> bytes:
        spec = self._spec
        if spec.api_version not in _VERSIONS:
            known = " and ".join(sorted(_VERSIONS))
            raise Denied(
                f"{self._told} has an exec plugin of {spec.api_version or 'no apiVersion'}; known are {known}"
            )
        if spec.interactive_mode == "Always":
            raise Denied(f"{self._told} has an exec plugin that asks a person; nobody may be there")
        program = self._program()
        try:
            done = subprocess.run(  # noqa: S603 - the program that the user's own configuration names
                [program, *(spec.args or ())],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT_S,
                env=self._environment(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Denied(f"{self._told}: {spec.command} did not answer within {TIMEOUT_S:.0f} s") from None
        except OSError as exc:
            raise Denied(f"{self._told}: {spec.command} can't be started: {exc.strerror}") from exc
        if done.returncode != 0:
            said = _last_line(done.stderr)
            raise Denied(f"{self._told}: {spec.command} gave no credentials ({done.returncode}){said}")
        return done.stdout

    def _program(self) -> str:
        """Find the program: by PATH, or by a path relative to the kubeconfig."""
        command = self._spec.command
        if "/" in command:
            return str(self._folder.absolute() / command)
        found = shutil.which(command, path=self._environ.get("PATH", "")) if command else None
        if found is None:
            hint = f": {' '.join(self._spec.install_hint.split())}" if self._spec.install_hint else ""
            raise Denied(f"{self._told}: {command or 'no command'} isn't on the PATH{hint}")
        return found

    def _environment(self) -> dict[str, str]:
        spec: dict[str, Any] = {"interactive": False}
        if self._spec.provide_cluster_info:
            spec["cluster"] = self._cluster
        info = {"apiVersion": self._spec.api_version, "kind": "ExecCredential", "spec": spec}
        own = {each.name: each.value for each in self._spec.env or ()}
        return {**self._environ, **own, "KUBERNETES_EXEC_INFO": json.dumps(info)}

    def _read(self, output: bytes) -> _Given:
        command = self._spec.command
        try:
            credential = decode(output, _Credential)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Denied(f"{self._told}: {command} did not answer with an ExecCredential") from None
        if credential.api_version != self._spec.api_version:
            said = credential.api_version[:80]
            raise Denied(f"{self._told}: {command} answered in {said!r}, not in {self._spec.api_version}")
        status = credential.status or _Status()
        chain, key = status.client_certificate_data, status.client_key_data
        if bool(chain) is not bool(key) or not (status.token or chain):
            raise Denied(f"{self._told}: {command} gave neither a token nor a certificate with its key")
        return _Given(
            header=f"Bearer {status.token}" if status.token else None,
            certificate=Certificate(chain=chain.encode(), key=key.encode()) if chain and key else None,
        )


def _last_line(said: bytes) -> str:
    """Show what a plugin said last on standard error, which is for people."""
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return f": {redact(lines[-1][:200])}" if lines else ""
