"""What a run builds on: an earlier one whose work it takes over, and the tasks it is to run of the pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator import ir
from orchestrator.errors import NotFoundError, RunError
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners import local
from orchestrator.runners.events import Status
from orchestrator.runners.local import selection, supply
from orchestrator.runners.local.selection import EVERYTHING, Selection
from orchestrator.stores.artifacts import ArtifactStore
from orchestrator.stores.metadata import LAST, Metadata, RunRecord, TaskRecord
from orchestrator.stores.records import LOCAL

_FAR = 100  # How many runs back inputs are looked for, and how long a chain of runs is followed.
_ENDED = (Status.SUCCEEDED, Status.REJECTED, Status.UNDECIDED, Status.FAILED)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: at most one of `resume`, `only` and `since`."""

    resume: str = ""
    """Take over from this run, `last` being the last of the pipeline."""
    only: tuple[str, ...] = ()
    """Run exactly these tasks."""
    since: tuple[str, ...] = ()
    """Run these tasks and all that come after them."""
    of: str = ""
    """The run that inputs come from; the last one that has them when it is empty."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What a run builds on."""

    arguments: Mapping[str, Any] = field(default_factory=dict)
    earlier: local.Earlier = field(default_factory=local.Earlier)
    selection: Selection = EVERYTHING


def basis(metadata: Metadata, pipeline: PipelineSpec, wish: Wish, state: Path) -> Basis:
    """What a new run builds on. Raises NotFoundError, or RunError when an earlier run lacks what is needed."""
    name = pipeline.pipeline_info.name
    if wish.resume:
        record = _named(metadata, name, wish.resume)
        return Basis(_given(record, pipeline), earlier(metadata, record))
    if not wish.only and not wish.since:
        return Basis()
    paths = selection.chosen(pipeline, wish.only or wish.since)
    paths = selection.downstream(pipeline, paths) if wish.since else paths
    records = [_named(metadata, name, wish.of)] if wish.of else list(_runs(metadata, name))[:_FAR]
    intact = ArtifactStore(state / "artifacts").intact
    lacking: tuple[supply.Missing, ...] = ()
    for record in records:
        found, missing = supply.select(pipeline, paths, _before(metadata, record), intact)
        if not missing:
            return Basis(_given(record, pipeline), selection=found)
        lacking = lacking or missing
    if not records:
        found, lacking = supply.select(pipeline, paths, supply.Before("", ()), intact)
        if not lacking:
            return Basis(selection=found)
    raise _refused(name, records, lacking, of=wish.of)


def earlier(metadata: Metadata, record: RunRecord) -> local.Earlier:
    """What finished well in a run, and in those it had taken over from itself."""
    tasks: dict[str, local.Done] = {}
    here: RunRecord | None = record
    for _ in range(_FAR):
        if here is None:
            break
        for task in metadata.tasks(here.id):
            if Status(task.status).good:
                tasks.setdefault(task.path, done(task))
        here = _before_that(metadata, here)
    return local.Earlier(record.id, tasks)


def recorded(metadata: Metadata, record: RunRecord, pipeline: PipelineSpec, state: Path) -> Basis:
    """What a recorded run was built on, for it to go on. Raises RunError when that is gone."""
    before = _before_that(metadata, record)
    built = earlier(metadata, before) if before else local.Earlier()
    paths = record.options.get("selected")
    if paths is None:
        return Basis(earlier=built)
    of = str(record.options.get("of", ""))
    origin = _before(metadata, metadata.run(of)) if of else supply.Before("", ())
    found, lacking = supply.select(pipeline, frozenset(paths), origin, ArtifactStore(state / "artifacts").intact)
    if lacking:
        raise _refused(record.pipeline, [metadata.run(of)] if of else [], lacking, of=of)
    return Basis(earlier=built, selection=found)


def done(task: TaskRecord) -> local.Done:
    """What a task took and gave, and whose work that was."""
    origin = task.cached_from or f"{task.run}/{task.path}"
    return local.Done(task.inputs, task.outputs, task.cache_key, task.key_parts, origin)


def _named(metadata: Metadata, pipeline: str, reference: str) -> RunRecord:
    if reference == LAST:
        last = next(_runs(metadata, pipeline), None)
        if last is None:
            hint = "leave out --resume to run it for the first time"
            raise RunError(f"the pipeline {pipeline!r} has not run yet", hint=hint)
        return last
    record = metadata.run(reference)
    if record.on != LOCAL:
        hint = "what it made is there; run the pipeline on this machine first"
        raise RunError(f"the run {record.id} ran on Kubeflow Pipelines", run=record.id, hint=hint)
    if record.pipeline != pipeline:
        raise RunError(f"the run {record.id} is one of the pipeline {record.pipeline!r}, not of {pipeline!r}")
    return record


def _runs(metadata: Metadata, pipeline: str) -> Iterator[RunRecord]:
    """The runs of a pipeline on this machine, newest first."""
    return (record for record in metadata.runs(10_000) if record.pipeline == pipeline and record.on == LOCAL)


def _before_that(metadata: Metadata, record: RunRecord) -> RunRecord | None:
    """The run that a run took over from, if it is still recorded."""
    reference = str(record.options.get("earlier", ""))
    try:
        return metadata.run(reference) if reference else None
    except NotFoundError:
        return None


def _before(metadata: Metadata, record: RunRecord) -> supply.Before:
    tasks = metadata.tasks(record.id)
    return supply.Before(
        record.id,
        tuple(supply.Recorded(task.path, task.name, Status(task.status), done(task)) for task in tasks),
        arguments=record.arguments,
        is_over=record.status in _ENDED,
        is_good=record.status in _ENDED and record.status != Status.FAILED,
    )


def _given(record: RunRecord, pipeline: PipelineSpec) -> dict[str, Any]:
    """The arguments a run was given that the pipeline still takes; what it left at its default is free to change."""
    declared = pipeline.root.input_definitions
    before, _ = ir.load(record.ir, record.source)
    defaults = {name: each.default_value for name, each in before.root.input_definitions.parameters.items()}
    return {
        name: value
        for name, value in record.arguments.items()
        if (name in declared.parameters or name in declared.artifacts)
        and not (defaults.get(name) is not None and defaults[name] == value)
    }


def _refused(pipeline: str, records: Sequence[RunRecord], lacking: Sequence[supply.Missing], *, of: str) -> RunError:
    hint = "run the tasks it comes from, too: with --from, or all of the pipeline"
    needs = "; ".join(map(str, lacking[:5])) + ("; ..." if len(lacking) > 5 else "")
    if not records:
        return RunError(f"{needs}, and the pipeline {pipeline!r} has not run yet", hint=hint)
    last = records[0].id
    which = "" if of or len(records) == 1 else f" (and no other of the {len(records)} before it has all of it)"
    return RunError(f"{needs}, which the run {last} lacks{which}", run=last, hint=hint)
