"""Volumes on this machine: which folder stands for which mount path, and how a program that sees no mounts finds it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from orchestrator.errors import RunError
from orchestrator.runners.local import asked, claims
from orchestrator.runners.local.asked import Volume
from orchestrator.runners.local.launch import Launch, Mount, Spot
from orchestrator.stores import secrets
from orchestrator.stores.secrets import Secrets

SHARED = "/dev/shm"  # noqa: S108  A larger shared memory is asked for by mounting here, and this machine's has no limit.
# A path begins here: not inside a longer one, nor after a name that it is added to, such as `{root}/data`.
_BEFORE = r"(?:(?<=file://)|(?<![\w./~$})\]-])(?<!\+ [\"'])(?<!\+[\"']))"


@dataclass(frozen=True, slots=True)
class Volumes:
    """The volumes of an attempt: what is mounted, and what has to be there first."""

    mounts: tuple[Mount, ...] = ()
    folders: tuple[Path, ...] = ()
    """Folders to be made; those of claims are there."""
    files: Mapping[Path, bytes] = field(default_factory=dict, repr=False)
    """Files of secrets and config maps."""

    def make(self) -> None:
        """Make the folders, and write the files for their owner's eyes alone."""
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
        for file, content in self.files.items():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.touch(mode=0o600)
            file.write_bytes(content)
            file.chmod(0o400)


def of(listed: Iterable[Volume], found: Secrets, state: Path, at: Spot, private: Path) -> Volumes:
    """The volumes of an attempt; `private` is the folder of its secrets. Raises RunError for what is not there."""
    mounts: list[Mount] = []
    folders: list[Path] = []
    files: dict[Path, bytes] = {}
    for number, volume in enumerate(listed):
        target = _target(volume)
        if volume.kind == asked.CLAIM:
            mounts.append(Mount(_claim(volume, state, folders), target))
        elif volume.kind == asked.SCRATCH:
            scratch = Path(SHARED) if target == SHARED and Path(SHARED).is_dir() else at.work / "volumes" / str(number)
            folders += [] if scratch == Path(SHARED) else [scratch]
            mounts.append(Mount(scratch, target))
        else:
            folder = private / str(number)
            held = keys(volume, found)
            folders.append(folder)
            files |= {folder / key: content for key, content in held.items()}
            absent = found.find(volume.kind, volume.name) is None
            mounts.append(Mount(folder, target, read_only=True, is_empty=absent))
    return Volumes(tuple(mounts), tuple(folders), files)


def keys(volume: Volume, found: Secrets) -> Mapping[str, bytes]:
    """The files of a secret or a config map. Raises RunError when it is not given and not optional."""
    held = found.find(volume.kind, volume.name)
    if held is None and not volume.optional:
        what = f"the {secrets.spoken(volume.kind)} {volume.name!r}, mounted at {volume.path}"
        raise RunError(f"it needs {what}: give it in {found.file} as a manifest")
    return held or {}


def as_mounts(launch: Launch, mounts: Sequence[Mount]) -> Launch:
    """A launch whose container finds everything where its words say."""
    extra = {variable(mount.target): mount.target for mount in mounts if not mount.is_empty}
    return replace(launch, environment={**launch.environment, **extra}, mounts=tuple(mounts))


def in_words(launch: Launch, mounts: Sequence[Mount], own: Iterable[Path], private: Iterable[str]) -> Launch:
    """A launch whose words and declared variables name the folders where they named mount paths.

    `own` are folders of this machine that are left as they are, though a mount path may be in them; `private` are
    variables that are nobody's to change.
    """
    local = {mount.target: str(mount.source) for mount in mounts if mount.target != str(mount.source)}
    extra = {variable(mount.target): str(mount.source) for mount in mounts if not mount.is_empty}
    environment = {**launch.environment, **extra}
    if not local:
        return replace(launch, environment=environment)
    pattern = _pattern(local, [str(path) for path in own])

    def told(text: str) -> str:
        return pattern.sub(lambda match: local[match["mount"]] if match["mount"] else match[0], text)

    untouched = set(private)
    declared = {name: value if name in untouched else told(value) for name, value in launch.declared.items()}
    words = tuple(told(word) for word in launch.words)
    return replace(launch, words=words, declared=declared, environment={**environment, **declared})


def is_named(target: str, text: str) -> bool:
    """Whether a text names a mount path, so that a folder of this machine can take its place."""
    return bool(_pattern([target], []).search(text))


def _pattern(targets: Iterable[str], own: Iterable[str]) -> re.Pattern[str]:
    def longest(paths: Iterable[str]) -> str:
        return "|".join(re.escape(path) for path in sorted(paths, key=len, reverse=True))

    mount = rf"{_BEFORE}(?P<mount>{longest(targets)})(?![\w.-])"
    kept = longest(own)
    return re.compile(f"(?:{kept})|{mount}" if kept else mount)


def _target(volume: Volume) -> str:
    target = volume.path.rstrip("/")
    if not target.startswith("/"):
        raise RunError(f"a volume cannot be mounted at {volume.path!r}: expected an absolute path below /")
    return target


def _claim(volume: Volume, state: Path, folders: list[Path]) -> Path:
    if not volume.name:
        raise RunError(f"nothing names the claim to be mounted at {volume.path}")
    place = claims.folder(state, volume.name)
    if not place.is_dir() and not volume.is_made:
        raise RunError(
            f"there is no claim {volume.name!r}, mounted at {volume.path}: make the folder {place}, or a link there"
        )
    inside = PurePosixPath(volume.sub_path)
    if inside.is_absolute() or ".." in inside.parts:
        raise RunError(f"{volume.sub_path!r} is no path inside the claim {volume.name!r}")
    if inside.parts or volume.is_made:
        folders.append(place / inside)
    return place / inside


def variable(target: str) -> str:
    """The environment variable that names the folder of a mount path."""
    return "ORC_MOUNT" + re.sub(r"\W+", "_", target).upper()
