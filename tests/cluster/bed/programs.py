"""The programs of the cluster: one binary, built by Go once per version of what it is made of, and kept."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent.parent / "kubernetes"
PAUSE = "pause"
NAMES = (
    "coredns",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "helm",
)
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orchestrator-tests"


class NotBuiltError(Exception):
    """There are no programs; the text says why, and `late` whether it was for lack of time."""

    def __init__(self, text: str, *, late: bool = False) -> None:
        super().__init__(text)
        self.late = late


def place() -> Path:
    """The folder that holds them, or will."""
    if told := os.environ.get("ORC_TEST_CLUSTER"):
        return Path(told)
    content = b"".join((HERE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go", "pause/main.go"))
    return CACHE / f"cluster-{hashlib.sha256(content).hexdigest()[:12]}"


def ready() -> bool:
    return all((place() / name).exists() for name in (*NAMES, PAUSE))


def built(*, minutes: float | None = None) -> Path:
    """The folder with the programs, built where they are not there, for at most so many minutes."""
    folder = place()
    if not ready():
        _build(folder, minutes)
    return folder


def _build(folder: Path, minutes: float | None) -> None:
    if shutil.which("go") is None:
        raise NotBuiltError("Kubernetes is built by Go, and there is no go on the path")
    folder.mkdir(parents=True, exist_ok=True)
    print("building Kubernetes (once, about seven minutes with two cores) ...", file=sys.stderr, flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder) as work:
        command = ["go", "build", "-trimpath", f"-ldflags=-s -w {_stamps()}", "-o"]
        # CGO off: the binary is the same wherever it is built, and needs nothing of the machine it runs on.
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTMPDIR": work}
        large, small = [*command, f"{work}/kubernetes", "."], [*command, f"{work}/{PAUSE}", "./pause"]
        if _ended(large, environment, minutes) or _ended(small, environment, minutes):
            raise NotBuiltError("go build failed: what it said is above")
        for name in ("kubernetes", PAUSE):
            Path(work, name).replace(folder / name)
    for name in NAMES:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to("kubernetes")
    print(f"built in {(time.monotonic() - started) / 60:.1f} minutes: {folder}", file=sys.stderr, flush=True)


def _ended(command: list[str], environment: dict[str, str], minutes: float | None) -> int:
    """The exit code of a build; one that takes too long is ended with all the compilers it started."""
    process = subprocess.Popen(command, cwd=HERE, env=environment, start_new_session=True)
    try:
        return process.wait(None if minutes is None else minutes * 60)
    except subprocess.TimeoutExpired:
        text = f"Kubernetes could not be built within {minutes:g} minutes; what Go has done is kept for the next time"
        raise NotBuiltError(text, late=True) from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _stamps() -> str:
    """What the programs say of themselves; charts ask for the version of a cluster."""
    found = re.search(r"k8s\.io/kubernetes v((\d+)\.(\d+)\.\d+)", (HERE / "go.mod").read_text())
    assert found
    told = {"gitVersion": f"v{found[1]}", "gitMajor": found[2], "gitMinor": found[3], "gitTreeState": "clean"}
    return " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in told.items())
