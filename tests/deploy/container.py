"""Build an image without an engine, and run it as a cluster would, on this machine alone.

Needed: root, buildah, mmdebstrap, and that both can fetch Debian's packages and Python's. The bases that the
file names aren't pulled: in their place stands a root of the same Debian with the same Python, and to run on,
one that has nothing in its folders of programs but Python, as distroless has.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.deploy.manifests import ROOT, program

# The machine's own: tests take proxies and certificates away, and these programs must reach out.
ENVIRONMENT = dict(os.environ)

_RELEASE = "trixie"
_PACKAGES = "python3-minimal,libpython3-stdlib,libstdc++6,ca-certificates,dash,coreutils"
_MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"
_CERTIFICATES = "/etc/ssl/certs"
_PASSWD = "root:x:0:0::/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n"

# As the kubelet mounts it: a root that can't be written, /tmp, /proc, a few devices, and what the pod names.
# $1 is the root, $2 a folder for /tmp, then pairs of a folder here and a place there, up to "--".
_MOUNT = """
set -eu
root=$1; mount --bind "$root" "$root"; mount --bind "$2" "$root/tmp"; shift 2
mount -t proc proc "$root/proc"
for device in null zero random urandom; do mount --bind /dev/$device "$root/dev/$device"; done
while [ "$1" != -- ]; do mount --bind "$1" "$root$2"; shift 2; done
shift
mount -o remount,bind,ro "$root"
exec env -i "$@"
"""


class Builder:
    """A store of images below one folder, so that nothing of the machine's own is touched."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._driver = "overlay"
        if self._try("info").returncode != 0:  # on top of another overlay, or where the kernel has none
            self._driver = "vfs"

    def build(self, context: Path) -> None:
        """Build ``localhost/janitor`` by the Dockerfile of the checkout, on bases made here."""
        self._bases()
        self._buildah(
            "bud",
            "--isolation=chroot",
            "--pull-never",
            f"--volume={_CERTIFICATES}:{_CERTIFICATES}:ro",
            *(f"--build-arg={name.upper()}=localhost/{name}" for name in ("builder", "uv", "runtime")),
            "--build-arg=REVISION=abc",
            "--tag=localhost/janitor",
            str(context),
        )

    def config(self) -> dict[str, Any]:
        """What the image says of itself, by the OCI specification."""
        described = json.loads(self._buildah("inspect", "--type=image", "localhost/janitor"))
        found: dict[str, Any] = described["OCIv1"]["config"]
        return found

    def compressed_bytes(self) -> int:
        """How much a node pulls."""
        layout = self._folder / "pushed"
        self._buildah("push", "--quiet", "localhost/janitor", f"oci:{layout}:janitor")
        index = json.loads((layout / "index.json").read_text())
        digest = index["manifests"][0]["digest"].removeprefix("sha256:")
        manifest = json.loads((layout / "blobs" / "sha256" / digest).read_text())
        return sum(layer["size"] for layer in manifest["layers"])

    def unpack(self) -> Path:
        """The files of the image, as a folder."""
        container = self._buildah("from", "--pull-never", "localhost/janitor").strip()
        return Path(self._buildah("mount", container).strip())

    def close(self) -> None:
        """Take down what was mounted, so that the folder can be removed."""
        self._try("umount", "--all")
        self._try("rm", "--all")

    def _bases(self) -> None:
        archive = self._folder / "root.tar"
        subprocess.run(
            [
                "mmdebstrap",
                "--quiet",
                "--mode=root",
                "--variant=extract",
                f"--hook-dir={_MERGED_USR}",
                f"--include={_PACKAGES}",
                _RELEASE,
                str(archive),
            ],
            env=ENVIRONMENT,
            check=True,
            timeout=300,
        )
        tree = self._base("builder", archive)
        (tree / "tmp").chmod(0o1777)
        self._buildah("config", f"--env=SSL_CERT_FILE={_CERTIFICATES}/ca-certificates.crt", "builder")
        self._commit("builder")
        tree = self._base("runtime", archive)
        for path in (*(tree / "usr/bin").iterdir(), *(tree / "usr/sbin").iterdir()):
            if not path.name.startswith("python3"):
                path.unlink()
        (tree / "etc/passwd").write_text(_PASSWD)
        for name in ("tmp", "proc", "dev", "policies", "state"):
            (tree / name).mkdir(exist_ok=True)
        for name in ("null", "zero", "random", "urandom"):
            (tree / "dev" / name).touch()
        self._commit("runtime")
        self._buildah("from", "--name=uv", "scratch")
        self._buildah("copy", "--quiet", "uv", program("uv"), "/uv")
        self._commit("uv")

    def _base(self, name: str, archive: Path) -> Path:
        self._buildah("from", f"--name={name}", "scratch")
        self._buildah("add", "--quiet", name, str(archive), "/")
        return Path(self._buildah("mount", name).strip())

    def _commit(self, name: str) -> None:
        self._buildah("commit", "--quiet", "--rm", name, f"localhost/{name}")

    def _buildah(self, *arguments: str) -> str:
        done = self._try(*arguments)
        assert done.returncode == 0, (
            f"{self._driver}: buildah {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout

    def _try(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        store = ["--root", str(self._folder / "store"), "--runroot", str(self._folder / "run")]
        return subprocess.run(
            ["buildah", *store, "--storage-driver", self._driver, *arguments],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )


def context(folder: Path) -> Path:
    """The checkout as somebody has it whose umask lets nobody else read."""
    for name in ("Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, folder / name)
        (folder / name).chmod(0o600)
    shutil.copytree(ROOT / "janitor", folder / "janitor", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder / "janitor").rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return folder


class Container:
    """One image, unpacked, and how its commands are run."""

    def __init__(self, root: Path, config: dict[str, Any]) -> None:
        self.root = root
        self.config = config

    def start(
        self, *arguments: str, tmp: Path, mounts: Mapping[Path, str], command: Sequence[str] | None = None
    ) -> subprocess.Popen[str]:
        """Start the entrypoint, or ``command``, as the image's user, as process 1 of a space of its own."""
        uid, gid = self.config["User"].split(":")
        pairs = [part for here, there in mounts.items() for part in (str(here), there)]
        drop = ["setpriv", "--no-new-privs", "--inh-caps=-all"]
        enter = ["chroot", f"--userspec={uid}:{gid}", "--groups=", str(self.root)]
        return subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation=private"),
                *("sh", "-c", _MOUNT, "mount", str(self.root), str(tmp), *pairs, "--"),
                *self.config["Env"],
                "HOME=/home/nonroot",
                *drop,
                *enter,
                *(command or self.config["Entrypoint"]),
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def child(process: subprocess.Popen[str]) -> int:
    """The process that is number 1 in its own space, by its number in this one."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def wait_for(come: Callable[[], object], *, seconds: float = 30) -> None:
    """Look until it is so; a process elsewhere doesn't say when it has come that far."""
    end = time.monotonic() + seconds
    while not come():
        assert time.monotonic() < end, "it didn't come"
        time.sleep(0.05)
