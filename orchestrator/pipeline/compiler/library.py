"""The components and executors of an IR, each once however many tasks use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.pipeline.compiler.kubernetes import Marks, marked
from orchestrator.pipeline.compiler.naming import sanitised, unique

Data = dict[str, Any]


class Library:
    """Collects components and executors; equal ones are kept once."""

    def __init__(self, pipeline: str) -> None:
        # The KFP SDK takes an executor or component that is called as the pipeline for the whole of it.
        self._reserved = {f"exec-{pipeline}", f"comp-{pipeline}"}
        self.components: Data = {}
        self.executors: Data = {}
        self.kubernetes: Data = {}
        self.ours: Data = {}
        self._known: dict[str, str] = {}

    def dag(self, name: str, component: Data) -> str:
        """Keep a component that is a DAG; returns what it is called."""
        return self._keep(name, json.dumps(component, sort_keys=True), component)

    def executor(
        self, name: str, component: Data, executor: Data, kubernetes: Mapping[str, Any], ours: Mapping[str, Any]
    ) -> str:
        """Keep a component with its executor and what platforms add to it; returns what it is called."""
        key = json.dumps([component, executor, kubernetes, ours], sort_keys=True)
        if key in self._known:
            return self._known[key]
        label = unique(f"exec-{sanitised(name)}", self.executors.keys() | self._reserved)
        self.executors[label] = executor
        if kubernetes:
            self.kubernetes[label] = kubernetes
        if ours:
            self.ours[label] = ours
        return self._keep(name, key, {**component, "executorLabel": label})

    def _keep(self, name: str, key: str, component: Data) -> str:
        if key not in self._known:
            self._known[key] = unique(f"comp-{sanitised(name)}", self.components.keys() | self._reserved)
            self.components[self._known[key]] = component
        return self._known[key]

    def compiled(self, name: str, spec: Mapping[str, Any], platform: Mapping[str, Any], marks: Marks) -> str:
        """Keep a whole compiled pipeline as one component, its own components and executors under names free here."""
        return self._imported(name, spec["root"], spec, platform.get("platforms", {}), marks)

    def _imported(
        self, name: str, component: Data, spec: Mapping[str, Any], platforms: Mapping[str, Any], marks: Marks
    ) -> str:
        label = component.get("executorLabel")
        if label:
            bare = {key: value for key, value in component.items() if key != "executorLabel"}
            own = [
                platforms.get(kind, {}).get("deploymentSpec", {}).get("executors", {}).get(label, {})
                for kind in ("kubernetes", "orchestrator")
            ]
            executor = spec["deploymentSpec"]["executors"][label]
            beside = marked(own[0], marks) if "container" in executor else own[0]
            return self.executor(name, bare, executor, beside, own[1])
        dag = component["dag"]
        tasks = {}
        for key, task in dag["tasks"].items():
            called = task["componentRef"]["name"]
            inner = self._imported(called.removeprefix("comp-"), spec["components"][called], spec, platforms, marks)
            tasks[key] = {**task, "componentRef": {"name": inner}}
        return self.dag(name, {**component, "dag": {**dag, "tasks": tasks}})

    def deployment(self) -> Data:
        """The `deploymentSpec` of the IR."""
        return {"executors": self.executors} if self.executors else {}

    def platform(self, config: Data) -> Data:
        """The platform document, with what is said of the run as a whole."""
        platforms = {"kubernetes": self.kubernetes, "orchestrator": self.ours}
        found: Data = {name: {"deploymentSpec": {"executors": each}} for name, each in platforms.items() if each}
        if config:
            found.setdefault("kubernetes", {})["pipelineConfig"] = config
        return {"platforms": found} if found else {}
