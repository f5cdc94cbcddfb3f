"""The pods of runs on a cluster: what they wrote, and why they do not get on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator import ir
from orchestrator.errors import BackendError, OrchestratorError, RunError
from orchestrator.runners import kfp
from orchestrator.runners.events import Status
from orchestrator.runs import connected
from orchestrator.settings import Settings
from orchestrator.stores.metadata import RunRecord

if TYPE_CHECKING:
    from orchestrator.cluster import Cluster

CONTAINER = "main"
"""The container of a pod that the task's program runs in; the others are of the server."""
_TAIL = 200
_ENOUGH = 3
"""Failures in a row after which a cluster is not asked again: each takes its time, and meanwhile nobody watches."""
_PAUSE = 2.0


@dataclass(frozen=True, slots=True)
class Written:
    """What a task's pod wrote."""

    name: str
    """Of the task; with several pods, of which attempt."""
    pod: str
    lines: Iterator[str]
    """Raises OrchestratorError where the log is to be had nowhere."""


class Pods:
    """What can be told of the pods of one run: by the cluster where we may look into it, else by the server."""

    def __init__(self, settings: Settings, connection: kfp.Connection, run: str = "") -> None:
        self.run = run
        """KFP's id of the run."""
        self._settings = settings
        self._connection = connection
        self._cluster: Cluster | None = None
        self._why = ""
        self._failed = 0

    def told(self) -> kfp.Pods:
        """As a runner asks for it."""
        return kfp.Pods(lambda pod: self.log(pod, lines=_TAIL), self._troubles)

    def log(self, pod: str, *, follow: bool = False, lines: int | None = None) -> Iterator[str]:
        """The lines of a pod's log. Raises BackendError or NotFoundError when neither has it."""
        found = self._connected()
        why = self._why
        if found is not None:
            begun = False
            try:
                for line in found.logs(pod, CONTAINER, follow=follow, tail=lines):
                    begun = True
                    yield line
            except OrchestratorError as error:
                if begun:
                    raise
                why = error.message  # It may have been removed: the server may have kept what it wrote.
            else:
                return
        try:
            kept = kfp.log(self._connection, self.run, pod)
        except OrchestratorError as error:
            gone = "pods are removed with their run's workflow; what a task wrote is then only where logs are collected"
            hint = "KUBECONFIG, or the setting cluster_context, names the cluster" if found is None else gone
            raise BackendError("cluster", f"no log of {pod}: {why}; {error.message}", hint=hint) from error
        yield from kept[-lines:] if lines else kept if lines is None else []

    def _troubles(self, run: str) -> Mapping[str, str]:
        found = self._connected()
        if found is None or self._failed >= _ENOUGH:
            return {}
        self._failed += 1
        listed = found.list("Pod", labels=f"pipeline/runid={run}")
        self._failed = 0
        told = {str(pod["metadata"]["name"]): found.why(pod) for pod in listed if not _is_well(pod)}
        return {name: why for name, why in told.items() if why}

    def _connected(self) -> Cluster | None:
        """The cluster, which whoever watches a run need not be allowed to look into."""
        if self._cluster is None and not self._why:
            try:
                self._cluster = connected.cluster(self._settings)
            except (OrchestratorError, ModuleNotFoundError) as error:
                self._why = getattr(error, "message", str(error))
        return self._cluster


def logs(
    record: RunRecord, settings: Settings, paths: Sequence[str], *, follow: bool = False, lines: int | None = None
) -> Iterator[Written]:
    """What the pods of these tasks wrote, one after the other; with `follow` until the run is over."""
    connection = connected.connection(settings, record.remote)
    identity = str(record.remote.get("run") or "") or kfp.find(connection, record.id)
    if not identity:
        raise RunError(f"the run {record.id} was never started on Kubeflow Pipelines", run=record.id)
    pipeline, platform = ir.load(record.ir, record.source)
    pods = Pods(settings, connection, identity)
    seen: set[str] = set()
    while True:
        over = not follow or Status(kfp.status(connection, identity)).final
        listed = {each.task.path: each for each in kfp.pods(connection, identity, pipeline, platform)}
        for path in paths or list(listed):
            for number, pod in enumerate(listed[path].pods if path in listed else (), 1):
                if pod not in seen:
                    seen.add(pod)
                    name = listed[path].task.name + (f" (attempt {number})" if len(listed[path].pods) > 1 else "")
                    yield Written(name, pod, pods.log(pod, follow=follow and not over, lines=lines))
        if over:
            return
        time.sleep(_PAUSE)


def _is_well(pod: Mapping[str, Any]) -> bool:
    """Whether there is nothing to ask about: it works or did well."""
    status = pod.get("status") or {}
    if status.get("phase") == "Succeeded":
        return True
    listed = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return status.get("phase") == "Running" and all("waiting" not in (each.get("state") or {}) for each in listed)
