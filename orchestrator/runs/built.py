"""What `orc build` is asked for: the images of pipelines, components and servers, and the lock that keeps them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator import source
from orchestrator.errors import BackendError, OrchestratorError, did_you_mean
from orchestrator.images import lock as locks
from orchestrator.images import recipe, wanted
from orchestrator.images.lock import Lock, Locked
from orchestrator.images.recipe import Choices, Recipe
from orchestrator.images.wanted import COMPONENT, OWN, Images, Wanted
from orchestrator.runs.loaded import load
from orchestrator.stores import whole

_WITH = re.compile(r"(?:(?P<names>[\w./,-]+)=(?!=))?(?P<package>.*)")


@dataclass(frozen=True, slots=True)
class Wish:
    """How images are asked for; what is not said is as the lock has it."""

    base: str = ""
    platform: str = ""
    packages: tuple[str, ...] = ()
    """`PACKAGE`, or `NAME,...=PACKAGE` for some of the images; `NAME,...=` for no more than they ask for themselves."""


@dataclass(frozen=True, slots=True)
class Group:
    """Images that are locked together."""

    recipes: tuple[Recipe, ...]
    given: tuple[str, ...]
    choices: Choices
    file: Path | None = None
    """The lock file; None for images that no pipeline file stands beside."""
    before: Lock | None = None
    """The lock as it was."""
    keeps: bool = False
    """Whether images that are locked already and not built now stay in the lock."""


def groups(targets: Sequence[str], wish: Wish, lock: Path | None = None) -> list[Group]:
    """What is to be built for these targets: a group for each pipeline, and one for all else. Raises PipelineError."""
    pipelines: list[tuple[Path, Images]] = []
    others: list[tuple[str, str, Sequence[str], Path]] = []
    own: list[Wanted] = []
    for target in targets:
        if target in OWN and not Path(target).exists():
            own.append(Wanted(OWN[target], kind=target))
        elif component := _component(target):
            others.append(component)
        else:
            loaded = load(Path(target))
            pipelines.append((Path(target), wanted.of(loaded.pipeline, loaded.code_paths)))
    single = _images(others, own)
    if lock:
        every = [*(images for _, images in pipelines), single]
        return [_group(_together(every), wish, lock, keeps=True)]
    found = [_group(images, wish, locks.beside(file), keeps=".py" in file.name) for file, images in pipelines]
    return [*found, *([_group(single, wish, None)] if single != Images() else [])]


def locked(group: Group, held: Mapping[str, Locked]) -> Lock:
    """The lock of a group whose images these are."""
    kept = group.before.images if group.before and group.keeps else {}
    usual = recipe.default_base()
    return Lock(
        api_version="orchestrator/v1",
        base="" if group.choices.base == usual else group.choices.base,
        platform=group.choices.platform,
        images={**kept, **held},
    )


def write(file: Path, lock: Lock) -> None:
    """Write a lock, whole or not at all. Raises BackendError."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BackendError("file", f"{file.parent}: {error.strerror}") from error
    whole.write(file, locks.dump(lock))


def _group(images: Images, wish: Wish, file: Path | None, *, keeps: bool = False) -> Group:
    before = locks.read(file) if file else None
    base = wish.base or (before.base if before else "") or recipe.default_base()
    choices = Choices(base, wish.platform or (before.platform if before else ""))
    asked = _packages(images.wanted, wish.packages, before)
    recipes = tuple(recipe.make(each, choices, asked[each.name]) for each in images.wanted)
    return Group(recipes, images.given, choices, file, before, keeps)


def _packages(listed: Sequence[Wanted], asked: Sequence[str], before: Lock | None) -> dict[str, list[str]]:
    """What each image is to hold beyond its requirements: as asked for now, else as it was built before."""
    now: dict[str, list[str]] = {}
    names = {each.name for each in listed} | {each.name.rpartition("/")[2] for each in listed}
    for text in asked:
        found = _WITH.fullmatch(text.strip())
        package = found["package"].strip() if found else ""
        chosen = [each for each in (found["names"] or "").split(",") if each] if found else []
        if not package and not chosen:
            raise OrchestratorError(f"--with {text!r} names no package", hint="--with train=tensorflow-cpu")
        for name in chosen:
            if name not in names:
                raise OrchestratorError(f"--with {text}: no image {name!r} is built", hint=did_you_mean(name, names))
        for each in listed:
            is_meant = {each.name, each.name.rpartition("/")[2]} & set(chosen) if chosen else each.kind == COMPONENT
            if is_meant:
                now.setdefault(each.name, []).extend([package] if package else [])
    held = before.images if before else {}
    return {
        each.name: now.get(each.name, list(held[each.name].packages) if each.name in held else []) for each in listed
    }


def _component(target: str) -> tuple[str, str, Sequence[str], Path] | None:
    """A component by its name, folder or file: what it is called, its image, its command, where its code is."""
    from orchestrator.pipeline import find
    from orchestrator.pipeline import load as front
    from orchestrator.pipeline.component import Container

    path = Path(target)
    if path.is_file() and not _is_component(path):
        return None
    if not path.exists() and (path.suffix or ":" in target):
        return None  # A pipeline that is not there says so itself.
    try:
        file = path if path.is_file() else find.file(f"{target}/" if path.is_dir() else target, Path.cwd())
    except ValueError as error:
        message, *hint = error.args
        known = "a pipeline file, a component, server or mlflow"
        raise OrchestratorError(f"{target}: {message}", hint=hint[0] if hint and hint[0] else known) from error
    read = front.component(file)
    if not isinstance(read.body, Container):
        raise OrchestratorError(f"{target}: the component {read.name!r} is no program, so it has no image")
    return read.name, read.body.image, read.body.command, find.code(file)


def _is_component(file: Path) -> bool:
    if file.suffix not in (".yaml", ".yml"):
        return False
    data = source.read(file).data
    return isinstance(data, dict) and data.get("kind") == "Component"


def _images(components: Sequence[tuple[str, str, Sequence[str], Path]], own: Sequence[Wanted]) -> Images:
    found: list[Images] = []
    for name, image, command, root in components:
        made = wanted.sorted_out([(image, command)], [root])
        if not made.wanted:
            message = f"the component {name!r} runs in {image}, which is no image of ours to build"
            raise OrchestratorError(message, hint="an image without a tag, and a command `python -m MODULE`")
        found.append(made)
    return _together([*found, Images(wanted=tuple(own))])


def _together(listed: Sequence[Images]) -> Images:
    """Several sets of images as one; components that name the same image share it."""
    held: dict[str, Wanted] = {}
    for each in (one for images in listed for one in images.wanted):
        before = held.get(each.name)
        programs = tuple(dict.fromkeys((*(before.programs if before else ()), *each.programs)))
        held[each.name] = Wanted(each.name, programs, each.kind)
    given = sorted({name for images in listed for name in images.given} - set(held))
    return Images(tuple(held[name] for name in sorted(held)), tuple(given))
