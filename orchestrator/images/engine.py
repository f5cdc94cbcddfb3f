"""What builds images: Docker with BuildKit, Podman or Buildah, and the words in which each is asked."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import BackendError
from orchestrator.images import reference

DOCKER, PODMAN, BUILDAH = "docker", "podman", "buildah"
_SECONDS = 60.0
_PUSHED = re.compile(r"digest: (sha256:[0-9a-f]{64})")
_NO_BUILDX = "it cannot build as we need it: its part `buildx` is missing"
_HINT_BUILDX = "install docker-buildx-plugin (Debian: docker-buildx), or name another program: --engine podman"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_LAST_WITHIN = 22  # The last Docker whose client builds by BuildKit without buildx.


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that answered."""

    kind: str
    program: str
    command: tuple[str, ...] = ("build",)
    """What begins a build."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables of its process, beside those of the caller."""
        if self.kind != DOCKER:
            return {}
        return {"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


@dataclass(frozen=True, slots=True)
class Build:
    """One build: what an engine is asked for."""

    folder: Path
    target: str
    tags: tuple[str, ...]
    base: str
    labels: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    platform: str = ""
    network: str = ""
    anew: bool = False
    """Whether to use nothing that was built before."""


def build(using: Engine, asked: Build, variables: Mapping[str, str]) -> list[str]:
    """The command of a build. Proxies go by the names of their variables, so that no list of processes shows them."""
    return [
        using.program,
        *using.command,
        f"--file={asked.folder / 'Dockerfile'}",
        f"--target={asked.target}",
        *(f"--tag={each}" for each in asked.tags),
        f"--build-arg=BASE={asked.base}",
        *(f"--build-arg={name}" for name in _PROXIES if variables.get(name)),
        *(f"--label={name}={value}" for name, value in sorted(asked.labels.items())),
        *(f"--secret=id={name},src={file}" for name, file in sorted(asked.secrets.items())),
        *([f"--platform={asked.platform}"] if asked.platform else []),
        *([f"--network={asked.network}"] if asked.network else []),
        *(["--no-cache", "--pull"] if asked.anew else []),
        str(asked.folder),
    ]


def push(using: Engine, image: str, digest_file: Path) -> list[str]:
    """The command that pushes an image; Podman and Buildah write the digest to a file, Docker says it."""
    if using.kind == DOCKER:
        return [using.program, "push", image]
    host = image.partition("/")[0]
    return [
        using.program,
        "push",
        f"--digestfile={digest_file}",
        *(["--tls-verify=false"] if reference.is_loopback(host) else []),
        image,
    ]


def tag(using: Engine, image: str, other: str) -> list[str]:
    """The command that gives an image another name."""
    return [using.program, "tag", image, other]


def inspect(using: Engine, image: str) -> list[str]:
    """The command that tells of an image on this machine, as JSON."""
    if using.kind == BUILDAH:
        return [using.program, "inspect", "--type=image", image]
    return [using.program, "image", "inspect", image]


def pull(using: Engine, image: str) -> list[str]:
    """The command that brings an image to this machine."""
    return [using.program, "pull", image]


def pushed(lines: Sequence[str]) -> str:
    """The digest that Docker said when it pushed; "" when it said none."""
    return next((found[1] for line in reversed(lines) if (found := _PUSHED.search(line))), "")


def find(chosen: str) -> Engine:
    """The engine asked for, by name or path; of none, the first that answers. Raises BackendError."""
    told: list[str] = []
    hint = "start one, or name another: --engine docker, podman or buildah"
    for program in [chosen] if chosen else [DOCKER, PODMAN, BUILDAH]:
        found = _ask(program)
        if isinstance(found, Engine):
            return found
        told.append(f"{program}: {found}")
        hint = _HINT_BUILDX if found == _NO_BUILDX else hint
    raise BackendError("nothing here can build images", "; ".join(told), hint=hint)


def _ask(chosen: str) -> Engine | str:
    """An engine that answers, or why it does not."""
    program = shutil.which(chosen)
    if program is None:
        return "not on this machine"
    code, said = _said(program, "--version")
    if code:
        return said
    named = next((kind for kind in (BUILDAH, PODMAN, DOCKER) if kind in said.lower()), "")
    if named in (PODMAN, BUILDAH):
        code, said = _said(program, "info")
        return Engine(named, program) if code == 0 else said
    if not named:
        return f"`{chosen} --version` is not understood: {said}"
    return _docker(program, said)


def _docker(program: str, version: str) -> Engine | str:
    code, said = _said(program, "version", "--format", "{{.Server.Version}}")
    if code:
        return said
    if _said(program, "buildx", "version")[0] == 0:
        return Engine(DOCKER, program, ("buildx", "build", "--load"))
    found = re.search(r"(\d+)\.\d", version)
    return Engine(DOCKER, program) if found and int(found[1]) <= _LAST_WITHIN else _NO_BUILDX


def _said(program: str, *words: str) -> tuple[int, str]:
    """How a question ended, and the last line of what was said."""
    try:
        done = subprocess.run(
            [program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, f"it has not answered for {_SECONDS:g} s"
    except OSError as error:
        return 126, error.strerror or str(error)
    lines = [line.strip() for line in (done.stderr if done.returncode else done.stdout).splitlines() if line.strip()]
    return done.returncode, lines[-1].removeprefix("ERROR: ").removeprefix("Error: ").rstrip(".") if lines else ""


def read(text: str) -> Mapping[str, object]:
    """What an engine tells of an image: the first of a list, or the one; nothing for what is no answer."""
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    told = told[0] if isinstance(told, list) and told else told
    return told if isinstance(told, dict) else {}
