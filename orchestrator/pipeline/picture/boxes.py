"""What a picture shows: tasks, and frames around them for conditions, loops, branches, pipelines and `finally`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from orchestrator.pipeline.check import names
from orchestrator.pipeline.compiler import naming
from orchestrator.pipeline.definition import Definition, Use, tasks_of
from orchestrator.pipeline.expression import Literal, references
from orchestrator.pipeline.reference import Item

Statuses = Mapping[str, str]
# Of the iterations of a loop, the one shown is the one most worth seeing.
_URGENT = ("FAILED", "CANCELLED", "RUNNING", "PENDING", "SUCCEEDED", "SKIPPED", "NOT_TRIGGERED")


@dataclass(frozen=True, slots=True)
class Box:
    """A task, or a frame with boxes inside; `needs` are edges between those: True for data, False for order."""

    name: str
    kind: str  # task, pipeline, when, foreach, one_of, finally
    title: str
    note: str = ""
    status: str = ""
    inside: tuple[Box, ...] = ()
    needs: Mapping[tuple[str, str], bool] = field(default_factory=dict)


def of(definition: Definition, statuses: Statuses | None = None) -> Box:
    """The whole pipeline as a frame; `statuses` are by path of the IR."""
    known = _by_file_names(definition, statuses or {})
    return _pipeline(definition, definition.name, known, ())


def _pipeline(definition: Definition, name: str, statuses: Statuses, path: tuple[str, ...]) -> Box:
    uses = {each: use for each, use in definition.uses.items() if not use.final}
    boxes = [_task(use, statuses, path) for use in uses.values()]
    home = {each: each for each in definition.uses}
    for group in names.branches(definition):
        frame = Box("|".join(group), "one_of", "one of", inside=tuple(box for box in boxes if box.name in group))
        home.update(dict.fromkeys(group, frame.name))
        boxes = [box for box in boxes if box.name not in group] + [frame]
    needs: dict[tuple[str, str], bool] = {}
    for use in definition.uses.values():
        data = {task for _, each in use.references() for task in tasks_of(each)}
        for need in use.needs():
            if home[need] != home[use.name]:
                edge = (home[need], home[use.name])
                needs[edge] = needs.get(edge, False) or need in data
    last = [_task(use, statuses, path) for use in definition.uses.values() if use.final]
    if last:
        inner = {edge: data for edge, data in needs.items() if {*edge} <= {box.name for box in last}}
        frame = Box("finally", "finally", "finally, whatever happened", inside=tuple(last), needs=inner)
        boxes.append(frame)
    shown = {box.name for box in boxes}
    outer = {edge: data for edge, data in needs.items() if {*edge} <= shown - {"finally"}}
    note = definition.spec.metadata.description
    return Box(name, "pipeline", definition.name, note, inside=tuple(boxes), needs=outer)


def _task(use: Use, statuses: Statuses, path: tuple[str, ...]) -> Box:
    here = (*path, use.name)
    status = statuses.get("/".join(here), "")
    used = use.component
    if used is not None and isinstance(used.body, Definition):
        inner = _pipeline(used.body, use.name, statuses, here)
        box = replace(inner, title=use.name, note=f"pipeline {used.name}", status=status)
    else:
        box = Box(use.name, "task", use.name, used.name if used else "", status)
    frames = []
    if use.when is not None:
        frames.append(("when", f"when {_short(use.spec.when)}"))
    if use.looped:
        frames.append(("foreach", f"for each {_short(use.spec.foreach)}"))
    if any(isinstance(each, Item) for each in references(use.when or Literal(True))):
        frames.reverse()  # A condition on the item is asked for every one.
    for kind, title in reversed(frames):
        box = Box(use.name, kind, title, inside=(box,))
    return box


def _short(written: object) -> str:
    """A condition or list as the file has it, without the signs that only mark references."""
    if isinstance(written, bool):
        return str(written).lower()
    if isinstance(written, list):
        return f"of {len(written)}"
    text = str(written).replace("${", "").replace("}", "")
    for noise in ("parameters.", "tasks.", "outputs."):
        text = text.replace(noise, "")
    return " ".join(text.split())


def _by_file_names(definition: Definition, statuses: Statuses) -> dict[str, str]:
    """Statuses by the names of the file: the IR's paths go through groups and iterations, which the file has not."""
    found: dict[str, str] = {}
    rank = {name: index for index, name in enumerate(_URGENT)}
    called: dict[int, dict[str, str]] = {}
    for path, status in statuses.items():
        key = "/".join(_walk(definition, path.split("/"), called))
        if key and rank.get(status, 3) <= rank.get(found.get(key, ""), 99):
            found[key] = status
    return found


def _walk(start: Definition, parts: list[str], called: dict[int, dict[str, str]]) -> Iterator[str]:
    """The tasks a path leads through, as the file calls them; `called` keeps what was worked out for each pipeline."""
    definition: Definition | None = start
    for part in parts:
        if definition is None:
            return
        if id(definition) not in called:
            called[id(definition)] = {name: each for each, name in naming.tasks(definition.uses).items()}
        name = called[id(definition)].get(part, part if part in definition.uses else "")
        if name:
            yield name
            used = definition.uses[name].component
            definition = used.body if used and isinstance(used.body, Definition) else None
