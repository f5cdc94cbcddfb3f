"""A pipeline in the images that the lock beside its file names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.images import lock as locks
from orchestrator.images import recipe, wanted
from orchestrator.images.lock import Lock
from orchestrator.runs.loaded import Loaded


@dataclass(frozen=True, slots=True)
class Pinned:
    """A pipeline with the images of its lock, and what a person should know about them."""

    loaded: Loaded
    warnings: tuple[str, ...] = ()
    lock: Lock | None = None
    """The lock it was pinned by; None without one."""


def here(loaded: Loaded, file: Path) -> Pinned:
    """For containers of this machine: images in the lock are used, in a registry or not. Raises PipelineError."""
    lock = locks.read(locks.beside(file))
    return _pinned(loaded, file, lock) if lock else Pinned(loaded)


def compiled(loaded: Loaded, file: Path) -> Pinned:
    """For a file that may go anywhere: what is in a registry is pinned, all else keeps its name."""
    lock = locks.read(locks.beside(file))
    if lock is None:
        return Pinned(loaded)
    pushed = {name: each for name, each in lock.images.items() if each.is_pushed}
    lacking = _lacking(loaded, lock)
    said = f"not pinned, since no registry has them: {', '.join(lacking)}; `orc build {file} --push` brings them there"
    found = _pinned(loaded, file, lock.model_copy(update={"images": pushed}))
    return replace(found, warnings=((said,) if lacking else ()) + found.warnings)


def stale(loaded: Loaded, lock: Lock, file: Path) -> tuple[str, ...]:
    """A warning for images that were built from other code than is here now."""
    changed = locks.changed(lock, keys(loaded, lock))
    said = f"built from other code than is here now: {', '.join(changed)}; `orc build {file}` builds them anew"
    return (said,) if changed else ()


def _pinned(loaded: Loaded, file: Path, lock: Lock) -> Pinned:
    return Pinned(replace(loaded, pipeline=locks.pinned(loaded.pipeline, lock)), stale(loaded, lock, file), lock)


def _lacking(loaded: Loaded, lock: Lock | None) -> tuple[str, ...]:
    images = wanted.of(loaded.pipeline, loaded.code_paths)
    return locks.lacking((each.name for each in images.wanted), lock)


def keys(loaded: Loaded, lock: Lock) -> dict[str, str]:
    """The keys that the images of a pipeline would have now, built as the lock says."""
    choices = recipe.Choices(lock.base or recipe.default_base(), lock.platform)
    found = {}
    for each in wanted.of(loaded.pipeline, loaded.code_paths).wanted:
        packages = lock.images[each.name].packages if each.name in lock.images else ()
        found[each.name] = recipe.make(each, choices, packages).key
    return found
