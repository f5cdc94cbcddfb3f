"""What a pipeline asks for that a target does not have, with the place in the file that asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import ir, portability
from orchestrator.errors import Location, PipelineError
from orchestrator.portability import Remark, Severity, Target
from orchestrator.runs.loaded import load, refuse_other

if TYPE_CHECKING:
    from orchestrator.pipeline.load import Compiled
    from orchestrator.portability.subject import Found

_WORST = list(Severity)


@dataclass(frozen=True, slots=True)
class Placed:
    """A remark, and where the file says what it is about."""

    at: Location
    remark: Remark


def check(file: Path, targets: Sequence[Target]) -> list[Placed]:
    """All remarks on a file, for each target the worst first, then by place. Raises PipelineError."""
    if ir.recognises(file):
        loaded = load(file)
        pipeline, platform, place = loaded.pipeline, loaded.platform, _in_ir(file)
    else:
        from orchestrator.pipeline import load as front
        from orchestrator.pipeline import python

        if python.split(file):
            loaded = load(file)
            pipeline, platform, place = loaded.pipeline, loaded.platform, _nowhere(file)
        else:
            refuse_other(file)
            compiled = front.pipeline(file)
            pipeline, platform, place = compiled.spec, compiled.platform, _in_ours(compiled)
    order = [target.name for target in targets]
    placed = [Placed(place(each.found), each) for each in portability.remarks(pipeline, platform, targets)]
    return sorted(
        placed,
        key=lambda each: (order.index(each.remark.target.name), _WORST.index(each.remark.rule.severity), each.at),
    )


def _nowhere(file: Path) -> Callable[[Found], Location]:
    """A Python file is not read: only the names of tasks say where."""
    return lambda _: Location(str(file))


def _in_ir(file: Path) -> Callable[[Found], Location]:
    try:
        documents = ir.sources(file.read_text(encoding="utf-8"), str(file))
    except PipelineError:
        return _nowhere(file)  # Too large to be told line by line.

    def place(found: Found) -> Location:
        index = int(found.pointer[:1] == ("platforms",))
        return documents[min(index, len(documents) - 1)].at(*found.pointer, key=True)

    return place


def _in_ours(compiled: Compiled) -> Callable[[Found], Location]:
    """The task in the pipeline file, or in that of a nested pipeline."""

    def place(found: Found) -> Location:
        if found.use is None:
            section, name = ("metadata", "name")
            if found.pointer[:2] == ("root", "inputDefinitions"):
                section, name = "parameters", str((*found.pointer, "", "")[3])
            return compiled.source.at(section, name, key=True)
        return _task(compiled, found.use.path, found.key)

    return place


def _task(compiled: Compiled, path: str, key: str) -> Location:
    from orchestrator.pipeline.definition import Definition

    definition, at = compiled.definition, compiled.source.at()
    prefix = ""
    for part in path.split("/"):
        prefix += part
        # A group the compiler made is called after the task it was made for: `deploy: when`.
        use = definition.uses.get(compiled.names.get(prefix, "").partition(":")[0])
        prefix += "/"
        if use is None:
            continue
        at = definition.source.at(use.section, use.name, key, key=True)
        if use.component and isinstance(use.component.body, Definition) and prefix.rstrip("/") != path:
            definition = use.component.body
    return at
