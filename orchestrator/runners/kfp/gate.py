"""What the gates of a run decided: from the outputs of their tasks, from the files they wrote, or from their logs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.errors import BackendError
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners.events import Status
from orchestrator.runners.kfp import paths
from orchestrator.runners.kfp.seen import Seen, SeenRun
from orchestrator.stores import reading
from orchestrator.stores.artifacts import DECISION

_SAID = re.compile(r"(?:^|\s)(published|rejected|undecided): (.+)")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one gate decided; no decision when nobody can tell."""

    task: str
    """Its path."""
    decision: str = ""
    reason: str = ""


def outcome(verdicts: Iterable[Verdict]) -> tuple[Status, str]:
    """What a run whose tasks went well came to, as the local runner says it."""
    listed = list(verdicts)
    for decision, status in (("undecided", Status.UNDECIDED), ("rejected", Status.REJECTED)):
        reasons = [each.reason for each in listed if each.decision == decision]
        if reasons:
            return status, "; ".join(reasons)
    return Status.SUCCEEDED, ""


def verdicts(run: SeenRun, pipeline: PipelineSpec, root: str, logs: Callable[[str], Iterable[str]]) -> list[Verdict]:
    """What each gate that ran decided."""
    return [
        _told(path, name, seen)
        or _written(path, name, seen, _below(run, pipeline, root, path, name) if root else "")
        or _logged(path, seen, logs)
        for path, name, seen in _gates(run, pipeline)
    ]


def _gates(run: SeenRun, pipeline: PipelineSpec) -> Iterator[tuple[str, str, Seen]]:
    """The tasks with a decision: path, the output's name, and what is seen of them."""
    for path, seen in run.tasks.items():
        found = paths.follow(pipeline, path.split("/"))
        if found is None or found[1].dag is not None or not seen.status.good:
            continue
        for name, declared in found[1].output_definitions.artifacts.items():
            if declared.artifact_type.title == DECISION:
                yield path, name, seen


def _told(path: str, name: str, seen: Seen) -> Verdict | None:
    """What the server knows of the decision."""
    for artifact in seen.outputs.artifacts.get(name, ()) if seen.outputs else ():
        if artifact.metadata.get("decision"):
            return _from(path, artifact.metadata)
    return None


def _below(run: SeenRun, pipeline: PipelineSpec, root: str, path: str, name: str) -> str:
    """Where KFP puts the output of a task, with a part in it that only the server knows."""
    key = next(each for each in reversed(path.split("/")) if not each.isdigit())
    return f"{root.rstrip('/')}/{pipeline.pipeline_info.name}/{run.id}/{key}/**/{name}"


def _from(path: str, told: Mapping[str, object]) -> Verdict:
    return Verdict(path, str(told.get("decision", "")), str(told.get("reason", "")))


def _written(path: str, name: str, seen: Seen, below: str) -> Verdict | None:
    """What is written in the decision's file, where that can be read from here."""
    uris = [artifact.uri for artifact in seen.outputs.artifacts.get(name, ())] if seen.outputs else []
    for uri in uris or [below]:
        try:
            for text in reading.texts(uri) if uri else ():
                told = json.loads(text)
                if isinstance(told, dict) and told.get("decision"):
                    return _from(path, told)
        except (BackendError, ValueError):  # Out of reach from here, or not what we wrote.
            continue
    return None


def _logged(path: str, seen: Seen, logs: Callable[[str], Iterable[str]]) -> Verdict:
    """What the task said last; nothing when its log is out of reach."""
    for pod in reversed(seen.pods):
        try:
            found = [each for line in logs(pod) if (each := _SAID.search(line))]
        except BackendError:
            continue
        if found:
            return Verdict(path, found[-1][1], found[-1][2].strip())
    return Verdict(path)
