"""What the task is asked, as a batch: its plan, its model, what it reads and where it writes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestrator.errors import OrchestratorError
from orchestrator.model import folder
from orchestrator.serving.batch import jsonpath, plan
from orchestrator.serving.batch.plan import Plan
from orchestrator.serving.batch.pool import Named


@dataclass(frozen=True, slots=True)
class Places:
    """What is read, and where predictions go; `several` files go to a place of their own, and are listed."""

    source: str
    target: str
    is_listed: bool


def planned(values: Mapping[str, Any]) -> Plan:
    """The plan that the task's parameters say."""
    return Plan(
        split=values["split"],
        join=values["join"],
        input_format=values["format"],
        output_format=values["output_format"],
        header=values["header"],
        delimiter=values["delimiter"],
        input_filter=jsonpath.parse(values["input_filter"]),
        output_filter=jsonpath.parse(values["output_filter"]),
        name=values["name"],
        threshold=plan.threshold(values["error_threshold"]),
        size=values["batch_size"],
        payload=plan.size(values["max_payload"]),
        workers=values["workers"],
        retries=values["retries"],
        seconds=plan.seconds(values["timeout"]),
    )


def model(path: Path | None, version: str, environment: Mapping[str, str]) -> Named:
    """The model in a folder, or the approved version of a registered one."""
    if bool(path) == bool(version):
        message = "both model and version are given" if path else "there is no model"
        raise OrchestratorError(message, hint="give one of model (a folder) and version, e.g. penguins@champion")
    if path:
        return Named(path.absolute(), folder.digest(path), "the model")
    uri = environment.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        hint = "a runner sets it; by hand: MLFLOW_TRACKING_URI=sqlite:///mlflow.db"
        raise OrchestratorError("MLFLOW_TRACKING_URI is not set, so there is no registry to find it in", hint=hint)
    from orchestrator import registry
    from orchestrator.deployment import batches

    state = Path(environment.get("ORC_STATE", ".orc"))
    return batches.version(registry.open(uri, state=state).version, version)


def places(data: Path | None, uri: str, to: str, output: Path) -> Places:
    """What is read and written."""
    if bool(data) == bool(uri):
        message = "both data and uri are given" if data else "there is nothing to predict for"
        raise OrchestratorError(message, hint="give one of data (a file) and uri")
    for each in (uri, to):
        if urlsplit(each).password:
            hint = "take it out; file systems find credentials in their own environment variables and files"
            raise OrchestratorError("a URI holds a password, and arguments are recorded", hint=hint)
    # A task runs in a folder of its own, which is gone when it is over.
    if to and not urlsplit(to).scheme and not os.path.isabs(to):  # noqa: PTH117  It may be a URI.
        raise OrchestratorError(f"to: {to!r} is no place of its own", hint="give a URI or an absolute path")
    return Places(str(data) if data else uri, to or str(output), bool(to))
