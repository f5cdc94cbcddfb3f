"""What images are built with where no registry answers: a Docker daemon of our own, and a base made of Debian."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bed.processes import NotStartedError, Processes
from bed.programs import CACHE

SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"
INCLUDED = "python3,python3-venv,ca-certificates"
UNWANTED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")
KEY = hashlib.sha256(repr((SUITE, INCLUDED, UNWANTED)).encode()).hexdigest()[:12]
BASE = f"localhost/orchestrator-test/base:{KEY}"
# Debian's own client builds with BuildKit; others may come without the part that does.
DOCKER = next((each for each in ("/usr/bin/docker",) if Path(each).exists()), "docker")


def missing() -> str:
    """What keeps images from being built on this machine, or nothing."""
    if os.getuid():
        return "images are built by root"
    absent = [name for name in ("dockerd", "docker", "debootstrap") if shutil.which(name) is None]
    return f"images need {', '.join(absent)} (Debian: docker.io, debootstrap)" if absent else ""


def start(folder: Path, processes: Processes) -> dict[str, str]:
    """A daemon that has the base; returns the variables by which it answers."""
    base = _base()
    socket = folder / "docker.sock"
    # What it mounts goes with it.
    command = ["unshare", "--mount", "dockerd", f"--host=unix://{socket}", f"--data-root={_kept(folder)}"]
    command += [f"--exec-root={folder}/docker", f"--pidfile={folder}/docker.pid", "--oom-score-adjust=0"]
    # Images are built in the network of the host, and nothing else runs in containers of this one.
    command += ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none"]
    processes.start("dockerd", command)
    variables = {"DOCKER_HOST": f"unix://{socket}", "DOCKER_BUILDKIT": "1"}
    processes.wait("dockerd", lambda: _docker(variables, "info").returncode == 0)
    if _docker(variables, "image", "inspect", BASE).returncode:
        done = _docker(variables, "import", str(base), BASE)
        if done.returncode:
            raise NotStartedError(f"docker import: {done.stderr.strip()}")
    return {**variables, "ORC_TEST_BASE": BASE, "ORC_TEST_DOCKER": DOCKER}


def _kept(folder: Path) -> Path:
    """Where the daemon keeps images: what it built before is there, unless another one is at work in it."""
    lock = os.open(CACHE / "builder.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # Until this process ends, however it does.
    except BlockingIOError:
        os.close(lock)
        return folder / "builder"
    return CACHE / "builder"


def _base() -> Path:
    """The file system of a Debian with Python, made if it is not there."""
    tar = CACHE / f"base-{KEY}.tar"
    if tar.exists():
        return tar
    CACHE.mkdir(parents=True, exist_ok=True)
    print("making a base for images (once, two minutes) ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as held:
        root = Path(held, "root")
        command = ["debootstrap", "--variant=minbase", f"--include={INCLUDED}", SUITE, str(root), MIRROR]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotStartedError(f"debootstrap: {done.stdout.strip()[-300:]} {done.stderr.strip()[-300:]}")
        for unwanted in UNWANTED:
            shutil.rmtree(root / unwanted, ignore_errors=True)
        made = Path(held, "base.tar")
        subprocess.run(["tar", "--directory", str(root), "--create", "--file", str(made), "."], check=True)
        made.rename(tar)
    return tar


def _docker(variables: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [DOCKER, *words]
    return subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
