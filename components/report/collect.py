"""From the record of a run to what the page tells. Nothing is read or written here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import yaml

import orchestrator
from components.report import contents, loose, outcome, record, words
from components.report.facts import Bar, File, Page, Parameter
from components.report.record import Record
from orchestrator.stores.artifacts import Artifact, is_remote, local_path
from orchestrator.stores.metadata import RunRecord, TaskRecord

# Where the artifact store keeps the page, seen from which links into the state folder are relative: they hold when
# the folder is moved or copied, as an archive is.
_UP = "../../../"
_RUNNING = frozenset({"PENDING", "RUNNING"})


def page(kept: Record | str, status: Mapping[str, Any], *, title: str = "", own: str = "") -> Page:
    """The page of a run; of the final status alone where `kept` says why there is no record."""
    if isinstance(kept, str):
        return _without_record(kept, status, title)
    # The report cannot tell its own end.
    tasks = [task for task in kept.tasks if not (own and task.path == own and task.status in _RUNNING)]
    made = record.made(tasks)
    bars = tuple(_bar(task, kept) for task in tasks)
    gates = contents.gates(made, kept)
    endpoints = contents.endpoints(made, kept)
    state, message = outcome.told(status)
    ended = _ended(kept.run, tasks)
    return Page(
        title or kept.run.pipeline,
        kept.run.pipeline,
        kept.run.id,
        outcome.of(state or kept.run.status, message or kept.run.reason, bars, gates, endpoints),
        _notes(made, kept),
        max(ended - kept.run.started, 0) if ended is not None else None,
        kept.run.started,
        contents.evaluations(made, kept),
        gates,
        endpoints,
        bars,
        tuple((task.name, warning) for task in tasks for warning in task.warnings),
        _parameters(kept.run),
        contents.tables(made),
        contents.statistics(made, kept),
        contents.anomalies(made, kept),
        any(artifact.type == record.ANOMALIES and artifact.uri in kept.documents for _, artifact in made),
        contents.models(made, kept),
        tuple(_file(task, artifact, kept) for task, artifact in made),
        _made(kept.run, ended),
    )


def _without_record(why: str, status: Mapping[str, Any], title: str) -> Page:
    state, message = outcome.told(status)
    run, group = loose.text(status, "pipelineJobResourceName"), loose.text(status, "pipelineTaskName")
    ended = outcome.of(state, message, (), (), ())
    made = (("Run", run), ("Group of tasks", group), ("orchestrator", orchestrator.__version__))
    note = f"{why} This page therefore tells the final status and nothing else."
    kept = tuple((name, value) for name, value in made if value)
    return Page(title or "Pipeline run", "", run, ended, (note,), made=kept)


def _bar(task: TaskRecord, kept: Record) -> Bar:
    timed = task.started is not None and task.status not in ("NOT_TRIGGERED", "UNSCHEDULABLE")
    start = max(task.started - kept.run.started, 0) if timed and task.started is not None else None
    seconds = max(task.finished - task.started, 0) if timed and task.finished and task.started is not None else None
    return Bar(
        task.name,
        task.path,
        task.component,
        task.status,
        start,
        seconds,
        task.attempt,
        task.reason,
        task.cached_from,
        _link(task.log, kept) if task.log and task.status != "SKIPPED" else "",
    )


def _ended(run: RunRecord, tasks: Sequence[TaskRecord]) -> float | None:
    """When the last task ended: the run itself has not while its report is written."""
    return max((task.finished for task in tasks if task.finished is not None), default=run.finished)


def _parameters(run: RunRecord) -> tuple[Parameter, ...]:
    declared = _declared(run.ir)
    found = []
    for name, value in run.arguments.items():
        spec = loose.mapping(declared, name)
        has_default = "defaultValue" in spec
        default = spec.get("defaultValue")
        found.append(
            Parameter(
                name,
                _json(value),
                _json(default) if has_default else "",
                value != default if has_default else None,
                loose.text(spec, "description"),
            )
        )
    return tuple(found)


def _declared(ir: str) -> Mapping[str, Any]:
    try:
        # The C loader is ten times faster on an IR of a thousand tasks; not every build of PyYAML has it.
        document = next(yaml.load_all(ir, getattr(yaml, "CSafeLoader", yaml.SafeLoader)), None)
    except yaml.YAMLError:
        return {}
    return loose.mapping(document, "root", "inputDefinitions", "parameters")


def _json(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _file(task: TaskRecord, artifact: Artifact, kept: Record) -> File:
    return File(
        task.name,
        artifact.name,
        artifact.type.removeprefix("system."),
        artifact.size,
        artifact.digest,
        artifact.uri,
        "" if artifact.uri in kept.gone else _link(artifact.uri, kept),
        artifact.uri in kept.gone,
    )


def _link(uri: str, kept: Record) -> str:
    """A link to a file: relative inside the state folder, none for what a browser could not open."""
    if is_remote(uri):
        return ""
    path = local_path(uri)
    if not path.is_absolute():
        return ""
    if path.is_relative_to(kept.state):
        return _UP + quote(path.relative_to(kept.state).as_posix())
    return path.as_uri()


def _notes(made: Sequence[tuple[TaskRecord, Artifact]], kept: Record) -> tuple[str, ...]:
    lost = [f"{artifact.name} of {task.name}" for task, artifact in made if artifact.uri in kept.gone]
    unread = [
        f"{artifact.name} of {task.name} cannot be read: {kept.unreadable[artifact.uri]}."
        for task, artifact in made
        if artifact.uri in kept.unreadable
    ]
    if not lost:
        return tuple(unread)
    what = f"{words.join(lost)} {'is' if len(lost) == 1 else 'are'} no longer where the record says;"
    return (f"{what} what the page tells of {'it' if len(lost) == 1 else 'them'} is what the record kept.", *unread)


def _made(run: RunRecord, ended: float | None) -> tuple[tuple[str, str], ...]:
    facts = {
        "Run": run.id,
        "Pipeline": run.pipeline,
        "Pipeline file": run.source,
        "Paths start at": run.base,
        "Started": words.moment(run.started),
        "Last task ended": words.moment(ended),
        "Options": ", ".join(f"{name} = {_json(value)}" for name, value in run.options.items()),
        "orchestrator": orchestrator.__version__,
    }
    return tuple((name, value) for name, value in facts.items() if value)
