"""Events and records as JSON data: stable names, ISO times, nothing that JSON does not have."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.cli import wording

if TYPE_CHECKING:
    from orchestrator.runners.events import Event
    from orchestrator.runs import Answer, Served
    from orchestrator.stores.metadata import RunRecord, TaskRecord


def text(data: Any) -> str:
    """A listing as JSON text."""
    return json.dumps(plain(data), indent=2, ensure_ascii=True)


def event(happened: Event) -> dict[str, Any]:
    """An event, with its kind as `event`; `at` is in seconds since the epoch."""
    data: dict[str, Any] = plain({"event": type(happened).__name__, **dataclasses.asdict(happened)})
    return data


def answer(given: Answer) -> dict[str, Any]:
    """What an endpoint answered after the run."""
    data: dict[str, Any] = plain({"event": "EndpointAnswered", **dataclasses.asdict(given)})
    return data


def served(given: Served) -> dict[str, Any]:
    """An endpoint that a run deployed to a cluster."""
    data: dict[str, Any] = plain({"event": "EndpointDeployed", **dataclasses.asdict(given)})
    return data


def run(record: RunRecord, status: str = "") -> dict[str, Any]:
    """A run, without its tasks."""
    return {
        "run": record.id,
        "pipeline": record.pipeline,
        "status": status or record.status,
        "reason": record.reason,
        "started": wording.iso(record.started),
        "finished": wording.iso(record.finished),
        "seconds": record.finished - record.started if record.finished else None,
        "file": record.source,
        "arguments": record.arguments,
        "outputs": dataclasses.asdict(record.outputs),
        "on": record.on,
        **({name: record.options.get(name) for name in (record.on, "images", "files")} if record.remote else {}),
    }


def task(record: TaskRecord) -> dict[str, Any]:
    """A task of a run."""
    data = dataclasses.asdict(record)
    del data["run"]
    took = record.finished - record.started if record.finished and record.started else None
    return {**data, "started": wording.iso(record.started), "finished": wording.iso(record.finished), "seconds": took}


def plain(data: Any) -> Any:
    """The data with NaN and the infinities as text, since JSON has no numbers for them."""
    match data:
        case float() if not math.isfinite(data):
            return "NaN" if math.isnan(data) else "Infinity" if data > 0 else "-Infinity"
        case Mapping():
            return {str(key): plain(value) for key, value in data.items()}
        case list() | tuple():
            return [plain(value) for value in data]
        case str():
            return str(data)
        case _:
            return data
