"""Builds images and pushes them: what is there already, here or in the registry, is not built again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from orchestrator import source
from orchestrator.errors import BackendError, OrchestratorError, PipelineError
from orchestrator.images import engine, folder, labels, origin, reference, remote, saying
from orchestrator.images import recipe as recipes
from orchestrator.images.engine import Engine
from orchestrator.images.lock import Locked
from orchestrator.images.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Asked:
    """How images are built, and where they go."""

    engine: Engine
    logs: Path
    """Where the full log of each build is kept."""
    registry: str = ""
    push: bool = False
    tags: tuple[str, ...] = ()
    """More tags of every image, beside its key."""
    network: str = ""
    ca: Path | None = None
    anew: bool = False
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)


@dataclass(frozen=True, slots=True)
class Doing:
    """What goes on with an image just now."""

    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Done:
    """An image is where it should be."""

    name: str
    locked: Locked
    how: str
    """`built` or `unchanged`, and `pushed` where it was."""
    seconds: float
    size: int = 0
    """Bytes on this machine, as the engine counts them; 0 for one that is only in the registry."""


Told = Doing | Done


def build(listed: Sequence[Recipe], asked: Asked) -> Iterator[Told]:
    """Build images one after another, and push them if that is asked for. Raises BackendError at the first failure."""
    for recipe in listed:
        yield from _one(recipe, asked)


def given(image: str, using: Engine | None, environment: Mapping[str, str]) -> Locked | None:
    """An image that somebody else made, by its digest where a registry or this machine knows it."""
    named = reference.parse(image)
    if named is None:
        return None
    if named.digest:
        return Locked(reference=image)
    try:
        digest = remote.ask(named, environment).digest
    except BackendError:
        digest = ""
    if digest:
        return Locked(reference=f"{named.name}@{digest}")
    listed = _inspected(using, image).get("RepoDigests") if using else None
    found = next((each for each in listed or () if isinstance(each, str) and "@sha256:" in each), "")
    return Locked(reference=found) if found else None


def _one(recipe: Recipe, asked: Asked) -> Iterator[Told]:
    began = time.monotonic()
    recipe = recipes.keyed(recipe)  # Others were built meanwhile, and somebody may have gone on writing.
    names = [reference.placed(recipe.name, asked.registry, tag) for tag in (recipe.key, *asked.tags)]
    if asked.push and not asked.anew:
        yield Doing(recipe.name, "asking the registry")
        digest = _in_registry(names, asked.environment)
        if digest:
            yield Done(recipe.name, _locked(recipe, names[0], digest), "unchanged", time.monotonic() - began)
            return
    # What was built for this machine alone need only be named after a registry.
    known = [] if asked.anew else [names[0], reference.placed(recipe.name, "", recipe.key)]
    there = next((name for name in known if _inspected(asked.engine, name)), "")
    how = "unchanged" if there else "built"
    if not there:
        yield from _build(recipe, names, asked)
    for other in names if there else ():
        if other != there:
            _call(engine.tag(asked.engine, there, other), asked)
    digest = ""
    if asked.push:
        how += ", pushed"
        for name in reversed(names):
            yield Doing(recipe.name, f"pushing {name}")
            digest = _push(name, asked)
    size = _inspected(asked.engine, names[0]).get("Size")
    locked = _locked(recipe, names[0], digest)
    yield Done(recipe.name, locked, how, time.monotonic() - began, size if isinstance(size, int) else 0)


def _locked(recipe: Recipe, name: str, digest: str) -> Locked:
    whole = reference.parse(name)
    exact = f"{whole.name}@{digest}" if whole and digest else name
    return Locked(reference=exact, key=recipe.key, packages=list(recipe.packages))


def _in_registry(names: Sequence[str], environment: Mapping[str, str]) -> str:
    """The digest under which a registry has an image by all its names; "" when one is missing or means another."""
    found = {remote.ask(named, environment).digest for each in names if (named := reference.parse(each))}
    return found.pop() if len(found) == 1 else ""


def _build(recipe: Recipe, names: Sequence[str], asked: Asked) -> Iterator[Told]:
    log = asked.logs / f"{recipe.name.replace('/', '-')}-{recipe.key}.log"
    yield Doing(recipe.name, "gathering its files")
    with tempfile.TemporaryDirectory(prefix="orc-build-") as here:
        place, hidden = Path(here, "image"), Path(here, "secrets")
        place.mkdir()
        hidden.mkdir(mode=0o700)
        folder.write(recipe, place)
        if recipes.keyed(recipe).key != recipe.key:
            raise OrchestratorError(f"the code of {recipe.name} was changed just now", hint="build it once more")
        wanted = engine.Build(
            place,
            recipe.wanted.kind,
            tuple(names),
            recipe.choices.base,
            _labels(recipe, asked),
            folder.secrets(hidden, asked.environment, asked.ca),
            recipe.choices.platform,
            asked.network,
            asked.anew,
        )
        lines: list[str] = []
        with _started(engine.build(asked.engine, wanted, asked.environment), asked, log) as said:
            before = ""
            for line in said.lines():
                lines.append(line)
                now = saying.doing(line)
                if now and now != before:
                    yield Doing(recipe.name, now)
                    before = now
    if said.code:
        asking = sorted({str(each.folder / "requirements.txt") for each in recipe.wanted.programs})
        failure = saying.failed(lines, asking)
        message = f"{recipe.name} was not built: {failure.message}\n  all it said: {log}"
        raise BackendError(asked.engine.kind, message, hint=failure.hint)


def _push(name: str, asked: Asked) -> str:
    """Push an image. Returns the digest the registry has for it."""
    with tempfile.TemporaryDirectory(prefix="orc-push-") as here:
        file = Path(here, "digest")
        command = engine.push(asked.engine, name, file)
        code, lines = _call(command, asked)
        named = reference.parse(name)
        if code or named is None:
            host = name.partition("/")[0] if named and named.registry else reference.HUB
            failure = saying.refused(lines, asked.engine.kind, host)
            raise BackendError(f"image registry {host}", failure.message, hint=failure.hint)
        digest = file.read_text(encoding="utf-8").strip() if file.is_file() else engine.pushed(lines)
    return digest or remote.ask(named, asked.environment).digest


def _labels(recipe: Recipe, asked: Asked) -> dict[str, str]:
    programs = recipe.wanted.programs
    ours = all(each.is_ours for each in programs)
    place = programs[0].folder if programs else Path(__file__).parent
    listed = _inspected(asked.engine, recipe.choices.base).get("RepoDigests")
    digests = [each.partition("@")[2] for each in listed or () if isinstance(each, str)] if listed else []
    return labels.of(
        recipe,
        version=_version() if ours else recipe.key,
        description=_description(place / "component.yaml") if len(programs) == 1 else "",
        origin=origin.of(place),
        base_digest=digests[0] if digests else "",
    )


def _version() -> str:
    try:
        return metadata.version("orchestrator")
    except metadata.PackageNotFoundError:
        return ""


def _description(file: Path) -> str:
    """What a component file says that it is for."""
    try:
        told = source.read(file).data["metadata"]["description"]
    except (PipelineError, KeyError, TypeError):
        return ""
    return told if isinstance(told, str) else ""


def _inspected(using: Engine, image: str) -> Mapping[str, Any]:
    """What an engine tells of an image on this machine; nothing when it is not here."""
    done = _run(engine.inspect(using, image), using, os.environ)
    return engine.read(done.stdout) if done.returncode == 0 else {}


def _call(command: Sequence[str], asked: Asked) -> tuple[int, list[str]]:
    """How a command of the engine ended, and what it said."""
    done = _run(command, asked.engine, asked.environment, merged=True)
    return done.returncode, done.stdout.splitlines()


def _run(
    command: Sequence[str], using: Engine, environment: Mapping[str, str], *, merged: bool = False
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**environment, **using.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merged else subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )


@dataclass(slots=True)
class _Said:
    """A program that goes on, and the file that keeps what it says."""

    program: subprocess.Popen[str]
    log: IO[str]
    code: int = 0

    def lines(self) -> Iterator[str]:
        """What it says, until it has ended."""
        for line in self.program.stdout or ():
            self.log.write(line)
            yield line.rstrip()
        self.code = self.program.wait()


@contextlib.contextmanager
def _started(command: Sequence[str], asked: Asked, log: Path) -> Iterator[_Said]:
    """A command that ends with us."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        stream = log.open("w", encoding="utf-8")
    except OSError as error:
        raise BackendError("file", f"{log}: {error.strerror}") from error
    with (
        stream,
        subprocess.Popen(
            command,
            env={**asked.environment, **asked.engine.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as program,
    ):
        try:
            yield _Said(program, stream)
        finally:
            if program.poll() is None:
                program.terminate()
