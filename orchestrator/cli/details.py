"""What is recorded of a run and of its tasks, as lines of styled text."""

from __future__ import annotations

import re
import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from orchestrator.cli import artifacts, live, screen, summary, wording
from orchestrator.cli import state as states
from orchestrator.errors import NotFoundError
from orchestrator.history import lineage
from orchestrator.history.lineage import Made
from orchestrator.runners.events import Status
from orchestrator.stores.artifacts import Values
from orchestrator.stores.metadata import Attempt, RunRecord, TaskRecord

_EACH = 10
"""Iterations of a loop whose outputs are listed with the run; the others are listed with the task."""
_INDEX = re.compile(r"\[\d+\]")


def named(tasks: Sequence[TaskRecord], name: str) -> list[TaskRecord]:
    """The tasks with that name or path; a loop's task without an index means all its iterations."""
    exact = [task for task in tasks if name in (task.name, task.path)]
    found = exact or [task for task in tasks if _INDEX.sub("", task.name) == name]
    if not found:
        raise NotFoundError("task", name, known=[task.name for task in tasks])
    return found


def of_run(run: RunRecord, tasks: Sequence[TaskRecord], *, status: str) -> Iterator[RenderableType]:
    """A run from its parameters to its artifacts."""
    state = states.recorded(run, tasks)
    unicode = screen.is_unicode()
    facts = [
        ("status", f"{wording.mark(status, unicode=unicode)} {wording.look(status).words}"),
        ("started", wording.moment(run.started)),
        ("took", wording.between(run.started, run.finished, 0.0) if run.finished else ""),
        ("so far", wording.between(run.started, None, time.time()) if status == Status.RUNNING else ""),
        ("file", run.source),
        *_there(run),
    ]
    yield Text.assemble((run.pipeline, "bold"), (f"  run {run.id}", "dim"))
    for name, text in facts:
        if text:
            style = wording.look(status).colour if name == "status" else ""
            yield Text.assemble((f"  {name:<9}", "dim"), (text, style))
    yield from summary.section("parameters", [(name, wording.short(each)) for name, each in run.arguments.items()])
    yield from summary.section("images", [("", image) for image in run.options.get("images") or ()])
    yield from summary.section("uploaded", [_uploaded(file) for file in run.options.get("files") or ()])
    if tasks:
        yield Text()
        yield Text("tasks", "bold")
        yield _table(states.groups(state.tasks.values()), unicode=unicode)
    yield from summary.findings(state)
    first, many = _first(tasks)
    yield from summary.section("outputs of tasks", _made(first))
    yield from _artifacts(lineage.made(first))
    if tasks:
        yield Text()
        for name in many:
            told = (
                f"Of what {name} gave, the first {_EACH} are listed: `orc show {run.id} {shlex.quote(name)}` has all."
            )
            yield summary.prose(Text(told, "dim"))
        hint = f"`orc show {run.id} TASK` tells what a task was given, `orc logs {run.id} TASK` what it said."
        yield summary.prose(Text(hint, "dim"))


def _there(run: RunRecord) -> list[tuple[str, str]]:
    """What a run is on a cluster: where, by which name, which version of the pipeline, as whom."""
    told = run.remote
    if not told:
        return []
    return [
        ("on", f"Kubeflow Pipelines, {told.get('url', '')}"),
        ("there", str(told.get("run", "") or "it is not known there yet")),
        ("page", str(told.get("page", ""))),
        ("version", str(told.get("version", ""))),
        ("account", str(told.get("service_account", ""))),
    ]


def _uploaded(file: Mapping[str, Any]) -> tuple[str, str]:
    size = wording.size(int(file.get("size", 0)))
    return str(file.get("written", "")), f"{size}, {str(file.get('digest', ''))[:12]}, {file.get('uri', '')}"


def _first(tasks: Sequence[TaskRecord]) -> tuple[list[TaskRecord], list[str]]:
    """The tasks without all but the first iterations of long loops; and the names of those in long loops."""
    counted: Counter[str] = Counter()
    kept = []
    for task in tasks:
        name = _INDEX.sub("", task.name)
        made = bool(task.outputs.parameters or task.outputs.artifacts)
        counted[name] += made
        if not made or counted[name] <= _EACH:
            kept.append(task)
    return kept, [name for name, count in counted.items() if count > _EACH]


def _table(groups: Sequence[states.Group], *, unicode: bool) -> RenderableType:
    now = time.time()
    if sys.stdout.isatty():
        return Padding(live.rows(groups, now=now, unicode=unicode), (0, 0, 0, 2))
    cells = [["", *(cell.plain for cell in live.cells(group, now=now, unicode=unicode))] for group in groups]
    columns = [screen.Column("", right=index == 4) for index in range(6)]
    return Text(screen.aligned(columns, cells, heading=False).rstrip("\n"))


def _made(tasks: Sequence[TaskRecord]) -> list[tuple[str, str]]:
    rows = []
    for task in tasks:
        rows += [(f"{task.name}.{name}", wording.short(each)) for name, each in task.outputs.parameters.items()]
    return rows


def _artifacts(made: Sequence[Made], title: str = "artifacts") -> Iterator[Text]:
    if made:
        yield Text()
        yield Text(title, "bold")
        yield from artifacts.lines(made)


def _values(values: Values) -> list[tuple[str, str]]:
    rows = [(name, wording.value(each)) for name, each in values.parameters.items()]
    for name, listed in values.artifacts.items():
        for artifact in listed:
            # Below each other, so that a path fits a line of a terminal.
            # Of what lies elsewhere nobody here has taken a digest.
            known = f", {wording.size(artifact.size)}, {artifact.digest[:12]}" if artifact.digest else ""
            rows.append((name, f"{wording.kind(artifact.type)}{known}"))
            rows.append(("", summary.place(artifact.uri)))
    return rows


def of_tasks(
    tasks: Sequence[TaskRecord], attempts: Mapping[str, Sequence[Attempt]] = MappingProxyType({})
) -> Iterator[RenderableType]:
    """Everything about some tasks."""
    for index, task in enumerate(tasks):
        if index:
            yield Text()
        yield from _of_task(task, attempts.get(task.path, ()))


def _of_task(task: TaskRecord, attempts: Sequence[Attempt]) -> Iterator[RenderableType]:
    look = wording.look(task.status)
    yield Text.assemble((task.name, "bold"), (f"  run {task.run}", "dim"))
    facts = [
        ("status", f"{wording.mark(task.status, unicode=screen.is_unicode())} {look.words}"),
        ("reason", wording.one_line(task.reason)),
        ("component", task.component),
        ("path", task.path if task.path != task.name else ""),
        ("started", wording.moment(task.started)),
        ("took", wording.between(task.started, task.finished, time.time())),
        ("attempts", str(task.attempt) if task.attempt > 1 else ""),
        ("cached", f"from run {task.cached_from.partition('/')[0]}" if task.cached_from else ""),
        ("cache key", task.cache_key),
        ("log", summary.place(task.log) if task.log else ""),
    ]
    for name, text in facts:
        label = f"  {name:<11}"
        for line in screen.hung(label, text) if text else []:
            colour = look.colour if name == "status" else ""
            yield Text.assemble((line[: len(label)], "dim"), (line[len(label) :], colour))
    yield from summary.section("attempts", [_attempt(each, task) for each in attempts])
    yield from (Text(f"  warning: {wording.one_line(text)}", "yellow") for text in task.warnings)
    # What a text refers to travels beside it under a name of KFP's own; the text itself is shown filled in.
    given = [(name, value) for name, value in _values(task.inputs) if not name.startswith("pipelinechannel--")]
    yield from summary.section("inputs", given)
    yield from summary.section("outputs", _values(task.outputs))
    for listed in task.outputs.artifacts.values():
        for artifact in listed:
            origin = [("fetched from", artifact.source)] if artifact.source else []
            numbers = [(name, wording.value(each)) for name, each in artifact.metadata.items()]
            yield from summary.section(f"in {artifact.name}", [*origin, *numbers])


def _attempt(attempt: Attempt, task: TaskRecord) -> tuple[str, str]:
    took = wording.between(attempt.started, attempt.finished or task.finished, time.time())
    ended = wording.one_line(attempt.reason) if attempt.finished else wording.look(task.status).words
    return str(attempt.number), f"{took}, {ended}"
