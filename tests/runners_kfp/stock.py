"""What the test server keeps: pipelines, versions, experiments, runs and recurring runs, as the API tells them."""

from __future__ import annotations

import json
import random
import shutil
import string
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from orchestrator import ir
from orchestrator.errors import OrchestratorError
from orchestrator.runners.events import RunFinished, Status
from tests.runners_kfp import layout, told
from tests.runners_kfp.execution import Execution

Thing = dict[str, Any]
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13, 503: 14, 429: 8}
_OVER = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass
class Stock:
    """Everything the server has. One lock: the server's database has transactions."""

    folder: Path
    native: bool = True
    """Whether the tasks of runs are told with inputs and outputs, as after ML Metadata."""
    terminated_are: str = "CANCELED"
    """What an ended run is called; many servers say FAILED."""
    pipelines: dict[str, Thing] = field(default_factory=dict)
    versions: dict[str, Thing] = field(default_factory=dict)
    experiments: dict[str, Thing] = field(default_factory=dict)
    runs: dict[str, Thing] = field(default_factory=dict)
    recurring: dict[str, Thing] = field(default_factory=dict)
    executions: dict[str, Execution] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def close(self) -> None:
        """End what still runs."""
        for each in self.executions.values():
            each.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def create_pipeline(self, body: Mapping[str, Any]) -> Thing:
        name = body.get("name") or body.get("display_name") or ""
        if not name:
            raise Refused(400, "pipeline's name cannot be empty")
        if any(name == each["name"] for each in self.pipelines.values()):
            raise Refused(409, f"Failed to create a new pipeline. The name {name} already exist. Specify a new name")
        made = {
            "pipeline_id": str(uuid.uuid4()),
            "display_name": body.get("display_name") or name,
            "name": name,
            "description": body.get("description", ""),
            "created_at": now(),
            **({"namespace": body["namespace"]} if body.get("namespace") else {}),
        }
        self.pipelines[made["pipeline_id"]] = made
        return made

    def create_version(self, pipeline: str, name: str, text: str) -> Thing:
        if pipeline not in self.pipelines:
            raise Refused(404, f"Pipeline {pipeline} not found")
        if any(name == each["name"] and each["pipeline_id"] == pipeline for each in self.versions.values()):
            raise Refused(409, f"The name {name} already exist. Specify a new name")
        try:
            ir.load(text)
        except OrchestratorError as error:
            raise Refused(400, f"Failed to parse the specification: {error}") from error
        documents = list(yaml.safe_load_all(text))
        spec = documents[0] if len(documents) == 1 else {"pipeline_spec": documents[0], "platform_spec": documents[1]}
        made = {
            "pipeline_id": pipeline,
            "pipeline_version_id": str(uuid.uuid4()),
            "display_name": name,
            "name": name,
            "created_at": now(),
            "pipeline_spec": spec,
        }
        self.versions[made["pipeline_version_id"]] = made
        return made

    def create_experiment(self, body: Mapping[str, Any]) -> Thing:
        name = body.get("display_name") or ""
        if any(name == each["display_name"] for each in self.experiments.values()):
            raise Refused(409, f"The name {name} already exists. Please specify a new name")
        made = {
            "experiment_id": str(uuid.uuid4()),
            "display_name": name,
            "created_at": now(),
            "namespace": body.get("namespace", ""),
            "storage_state": "AVAILABLE",
            "last_run_created_at": "1970-01-01T00:00:00Z",
        }
        self.experiments[made["experiment_id"]] = made
        return made

    def create_run(self, body: Mapping[str, Any]) -> Thing:
        if not body.get("display_name"):
            raise Refused(400, "Run name must be specified")
        identity = str(uuid.uuid4())
        text = self.specification(body)
        pipeline, _ = ir.load(text)
        given = (body.get("runtime_config") or {}).get("parameters") or {}
        unknown = sorted(set(given) - set(pipeline.root.input_definitions.parameters))
        if unknown:
            raise Refused(400, f"Unknown input parameters: {unknown}")
        made = {
            "run_id": identity,
            "experiment_id": body.get("experiment_id") or self.default_experiment(),
            "display_name": body["display_name"],
            "description": body.get("description", ""),
            "storage_state": "AVAILABLE",
            **{key: body[key] for key in ("pipeline_version_reference", "pipeline_spec") if key in body},
            "runtime_config": dict(body.get("runtime_config") or {}),
            "service_account": body.get("service_account") or "pipeline-runner",
            "created_at": now(),
            "scheduled_at": now(),
            "finished_at": "1970-01-01T00:00:00Z",
            "state": "PENDING",
            "state_history": [{"update_time": now(), "state": "PENDING"}],
        }
        suffix = "".join(random.choices(string.ascii_lowercase + string.digits, k=5))
        self.runs[identity] = made
        execution = Execution(self.folder / identity, identity, f"{pipeline.pipeline_info.name}-{suffix}")
        self.executions[identity] = execution
        execution.start(text, given)
        return self.run(identity)

    def default_experiment(self) -> str:
        found = [key for key, each in self.experiments.items() if each["display_name"] == "Default"]
        return found[0] if found else str(self.create_experiment({"display_name": "Default"})["experiment_id"])

    def specification(self, body: Mapping[str, Any]) -> str:
        reference = body.get("pipeline_version_reference") or {}
        spec = body.get("pipeline_spec")
        if reference:
            version = reference.get("pipeline_version_id") or self.latest(str(reference.get("pipeline_id")))
            if version not in self.versions:
                raise Refused(404, f"PipelineVersion {version} not found")
            spec = self.versions[version]["pipeline_spec"]
        if not spec:
            raise Refused(400, "Run must have a pipeline source")
        documents = [spec["pipeline_spec"], spec["platform_spec"]] if "pipeline_spec" in spec else [spec]
        return yaml.safe_dump_all(documents)

    def latest(self, pipeline: str) -> str:
        found = [each for each in self.versions.values() if each["pipeline_id"] == pipeline]
        return str(found[-1]["pipeline_version_id"]) if found else ""

    def run(self, identity: str) -> Thing:
        """A run as it is now."""
        if identity not in self.runs:
            raise Refused(404, f"Failed to get a run: Run {identity} not found")
        run, execution = self.runs[identity], self.executions[identity]
        state, error = self.state(execution)
        if state != run["state"] and not (run["state"] == "CANCELING" and state == "RUNNING"):
            run["state"] = state
            run["state_history"].append({"update_time": now(), "state": state})
        if state in _OVER:
            run["finished_at"] = now() if run["finished_at"].startswith("1970") else run["finished_at"]
            if error:
                run["error"] = {"code": 13, "message": error}
        if self.native:
            return run
        pipeline, _ = ir.read(execution.folder / "pipeline.yaml")
        nodes = layout.Layout(pipeline, list(execution.events), execution.workflow, execution.created).build()
        details = layout.details(nodes, execution.workflow, identity, execution.created)
        return {**run, "run_details": {"task_details": details}}

    def state(self, execution: Execution) -> tuple[str, str]:
        end = next((each for each in execution.events if isinstance(each, RunFinished)), None)
        if end is None:
            if execution.ended:
                return "FAILED", "the workflow controller lost the run"
            return ("RUNNING" if execution.events else "PENDING"), ""
        if end.status is Status.CANCELLED or (execution.terminated and end.status is Status.FAILED):
            return self.terminated_are, ""
        if end.status is Status.FAILED:
            return "FAILED", end.reason
        return "SUCCEEDED", ""

    def tasks(self, identity: str) -> list[Thing]:
        """The tasks of a run."""
        self.run(identity)
        execution = self.executions[identity]
        pipeline, _ = ir.read(execution.folder / "pipeline.yaml")
        return told.tasks(pipeline, list(execution.events), identity, execution.created)

    def terminate(self, identity: str) -> Thing:
        run = self.run(identity)
        if run["state"] in _OVER:
            raise Refused(400, f"Failed to terminate a run {identity}. Row not found")
        self.runs[identity]["state"] = "CANCELING"
        self.executions[identity].terminate()
        return {}

    def retry(self, identity: str) -> Thing:
        run = self.run(identity)
        if run["state"] not in ("FAILED", "CANCELED"):
            raise Refused(400, "Workflow cannot be retried: it is not Failed or Error")
        text = (self.executions[identity].folder / "pipeline.yaml").read_text(encoding="utf-8")
        stored = self.runs[identity]
        stored.pop("error", None)
        stored.update(state="PENDING", finished_at="1970-01-01T00:00:00Z")
        stored["state_history"].append({"update_time": now(), "state": "PENDING"})
        self.executions[identity].start(text, (stored["runtime_config"] or {}).get("parameters") or {})
        return {}

    def delete_run(self, identity: str) -> Thing:
        self.run(identity)
        self.executions.pop(identity).kill()
        del self.runs[identity]
        return {}

    def create_recurring(self, body: Mapping[str, Any]) -> Thing:
        self.specification(body)
        trigger = body.get("trigger") or {}
        cron = (trigger.get("cron_schedule") or {}).get("cron", "")
        if cron and not cron.startswith("@") and len(cron.split()) != 6:
            raise Refused(400, f"The Schedule cron is not valid, expected exactly 6 fields, found: {cron}")
        if not 1 <= int(body.get("max_concurrency") or 0) <= 10:
            raise Refused(400, "The max_concurrency of the recurring run is out of range. Support 1-10")
        made = {
            "recurring_run_id": str(uuid.uuid4()),
            **body,
            "experiment_id": body.get("experiment_id") or self.default_experiment(),
            "created_at": now(),
            "updated_at": now(),
            "status": "DISABLED" if body.get("mode") == "DISABLE" else "ENABLED",
        }
        self.recurring[made["recurring_run_id"]] = made
        return made

    def switch(self, identity: str, *, on: bool) -> Thing:
        if identity not in self.recurring:
            raise Refused(404, f"Job {identity} not found")
        self.recurring[identity].update(status="ENABLED" if on else "DISABLED", mode="ENABLE" if on else "DISABLE")
        return {}

    def delete_recurring(self, identity: str) -> Thing:
        if self.recurring.pop(identity, None) is None:
            raise Refused(404, f"Job {identity} not found")
        return {}


def matching(listed: list[Thing], query: Mapping[str, str]) -> tuple[list[Thing], str]:
    """A page of a list, filtered as asked."""
    for predicate in json.loads(query.get("filter") or "{}").get("predicates", []):
        operation, key = predicate["operation"], predicate["key"]
        wanted = predicate.get("string_value", predicate.get("stringValue", ""))
        if operation in ("EQUALS", 1):
            listed = [each for each in listed if each.get(key, each.get("display_name")) == wanted]
    for key in ("experiment_id", "namespace"):
        if query.get(key):
            listed = [each for each in listed if each.get(key, query[key]) in (query[key], "")]
    size, begin = int(query.get("page_size") or 10), int(query.get("page_token") or 0)
    if query.get("sort_by", "").endswith("desc"):
        listed = listed[::-1]
    following = str(begin + size) if begin + size < len(listed) else ""
    return listed[begin : begin + size], following


def now() -> str:
    """The time, as protobuf writes it."""
    return datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
