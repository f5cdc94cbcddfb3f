"""Makes what the tests of containers need, then runs a command with it: `prepare.py COMMAND ...`.

Where no Docker answers and root runs this, a daemon of our own is started for as long as the command runs; there is no
registry, so the image is made of a Debian that `debootstrap` fetches once and that is kept in
~/.cache/orchestrator-tests. Takes two minutes the first time, and seconds afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orchestrator-tests"
SITE = Path(sysconfig.get_paths()["purelib"])
# What a lightweight component imports, and what its `pip install` finds to be there already.
PACKAGES = ("kfp", "kfp-*.dist-info", "pip", "pip-*.dist-info", "typing_extensions*")
LINKS = {"usr/bin/python": "python3"}  # As the images of Python have it.
DEBIAN = ("python3", "python3-venv")  # The second one is what images of ours are built with.
UNWANTED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")
MADE_OF = (SUITE, DEBIAN, PACKAGES, LINKS, UNWANTED, version("kfp"), sys.version_info[:2])
KEY = hashlib.sha256(repr(MADE_OF).encode()).hexdigest()[:12]
TAR = CACHE / f"image-{KEY}.tar"
IMAGE = f"localhost/orchestrator-test:{KEY}"
SECONDS = 60


def main(command: list[str]) -> int:
    with daemon() as variables, podman() as more:
        build()
        return subprocess.run(command, env={**os.environ, **variables, **more}, check=False).returncode


def build() -> Path:
    """The file system of the test image, made if it is not there."""
    if TAR.exists():
        return TAR
    if shutil.which("debootstrap") is None or os.getuid():
        sys.exit("the test image is made by debootstrap, as root: apt-get install debootstrap")
    CACHE.mkdir(parents=True, exist_ok=True)
    print("making the test image (once, two minutes) ...", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        root = Path(folder, "root")
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(DEBIAN)}", SUITE, str(root), MIRROR]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for pattern in PACKAGES:
            for found in SITE.glob(pattern):
                place = root / "usr/lib/python3/dist-packages" / found.name
                shutil.copytree(found, place) if found.is_dir() else shutil.copy(found, place)
        for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
            marker.unlink()
        for link, target in LINKS.items():
            (root / link).symlink_to(target)
        for unwanted in UNWANTED:
            shutil.rmtree(root / unwanted, ignore_errors=True)
        tar = Path(folder, "image.tar")
        subprocess.run(["tar", "--directory", str(root), "--create", "--file", str(tar), "."], check=True)
        tar.rename(TAR)
    return TAR


@contextlib.contextmanager
def daemon() -> Iterator[Mapping[str, str]]:
    """Variables by which Docker answers: those there are, or of a daemon that lives as long as this."""
    if answers("docker") or shutil.which("dockerd") is None or os.getuid():
        yield {}
        return
    with tempfile.TemporaryDirectory() as folder:
        variables = {"DOCKER_HOST": f"unix://{folder}/docker.sock"}
        command = ["dockerd", f"--host=unix://{folder}/docker.sock", f"--data-root={CACHE}/docker"]
        command += [f"--exec-root={folder}/exec", f"--pidfile={folder}/docker.pid", "--oom-score-adjust=0"]
        # The tests need no network, and a machine without iptables can run them too.
        command += ["--iptables=false", "--ip6tables=false", "--bridge=none"]
        with (cache() / "dockerd.log").open("wb") as log:
            started = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            until = time.monotonic() + SECONDS
            while not answers("docker", variables):
                if started.poll() is not None or time.monotonic() > until:
                    sys.exit(f"dockerd does not answer: see {CACHE / 'dockerd.log'}")
                time.sleep(0.2)
            yield variables
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait(SECONDS)


@contextlib.contextmanager
def podman() -> Iterator[Mapping[str, str]]:
    """Settings with which Podman runs where raising limits is not allowed and control groups are of both versions."""
    if shutil.which("podman") is None or os.getuid() or os.environ.get("CONTAINERS_CONF"):
        yield {}
        return
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        runtime = f'[engine]\nruntime="{"runc" if shutil.which("runc") else "crun"}"\ncgroup_manager="cgroupfs"\n'
        file.write(f'[containers]\ndefault_ulimits=["nofile=10000:10000","nproc=10000:10000"]\n{runtime}')
        file.flush()
        yield {"CONTAINERS_CONF": file.name}


def answers(program: str, variables: Mapping[str, str] | None = None) -> bool:
    if shutil.which(program) is None:
        return False
    command = [program, "info", "--format", "{{json .}}"]
    done = subprocess.run(command, env={**os.environ, **(variables or {})}, capture_output=True, check=False)
    return done.returncode == 0


def cache() -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    return CACHE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
