"""A pipeline in the images that the lock beside its file names."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.errors import OrchestratorError
from orchestrator.images import lock as locks
from orchestrator.images import recipe, wanted
from orchestrator.images.lock import Lock
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runs.loaded import Loaded


@dataclass(frozen=True, slots=True)
class Pinned:
    """A pipeline with the images of its lock, and what a person should know about them."""

    loaded: Loaded
    warnings: tuple[str, ...] = ()


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


def on_cluster(loaded: Loaded, file: Path, *, unpinned: bool = False) -> Pinned:
    """For a cluster. Raises OrchestratorError for an image that none could pull, unless it is asked for `unpinned`."""
    lock = locks.read(locks.beside(file))
    lacking = _lacking(loaded, lock)
    if lacking and not unpinned:
        hint = (
            f"orc build {shlex.quote(str(file))} --push builds and pushes them, and writes {locks.beside(file).name}\n"
            "--unpinned takes their names as they are, as after `kind load docker-image`"
        )
        told = f"a cluster cannot pull these images, which are in no registry yet:\n{chr(10).join(lacking)}"
        raise OrchestratorError(told, hint=hint)
    found = _pinned(loaded, file, lock) if lock else Pinned(loaded)
    loose = [each for each in images(found.loaded.pipeline) if "@sha256:" not in each]
    said = f"not named by a digest, so what they hold may change: {', '.join(loose)}"
    return replace(found, warnings=(*found.warnings, said)) if loose else found


def images(pipeline: PipelineSpec) -> list[str]:
    """The images a pipeline names."""
    executors = pipeline.deployment_spec.executors.values()
    return sorted({each.container.image for each in executors if each.container})


def stale(loaded: Loaded, lock: Lock, file: Path) -> tuple[str, ...]:
    """A warning for images that were built from other code than is here now."""
    changed = locks.changed(lock, keys(loaded, lock))
    said = f"built from other code than is here now: {', '.join(changed)}; `orc build {file}` builds them anew"
    return (said,) if changed else ()


def _pinned(loaded: Loaded, file: Path, lock: Lock) -> Pinned:
    return Pinned(replace(loaded, pipeline=locks.pinned(loaded.pipeline, lock)), stale(loaded, lock, file))


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
