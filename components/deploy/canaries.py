"""The traffic of an endpoint on a cluster, as KServe moves it: to a canary beside what is served, then to all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.cluster import Cluster
from orchestrator.errors import OrchestratorError
from orchestrator.serving import local
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.kserve import canary, objects, runtime
from orchestrator.serving.kserve.objects import Manifest
from orchestrator.serving.rollout import reading
from orchestrator.serving.rollout.reading import Reading

_ROUTE = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}


@dataclass(slots=True)
class Canaries:
    """One endpoint under way from one InferenceService, or none, to another. A `rollout.control.Traffic`."""

    cluster: Cluster
    declaration: Declaration
    before: Manifest | None
    after: Manifest
    apply: Callable[[Manifest], None]
    """Put an object in place and wait until its new replicas are all there."""
    whole: Callable[[], None]
    """Put the new version in place of the old one, and prove it there."""
    prove: Callable[[str], object]
    """Given the address of a replica: whether it answers as it should."""
    was_applied: bool = False

    def shift(self, percent: int) -> tuple[str, ...]:
        """Give the new version that share; the names that it answers as. At 0 nobody is sent to it, and it is proved.

        A gateway gives a canary its share: where there is none, a share would be a word and nothing more.
        """
        if self.was_applied:
            self.check()
        if percent >= 100:
            self.was_applied = True
            self.whole()
        elif self.before is not None:
            if not self.cluster.catalogue.knows(_ROUTE):
                hint = "write rollout: {strategy: all_at_once}; its alarms are watched, too"
                message = "KServe gives a canary its share through the Gateway API, which this cluster does not have"
                raise OrchestratorError(message, hint=hint)
            service = canary.beside(self.before, self.after, percent)
            self.was_applied = True
            self.apply(service)
            if percent == 0:
                for each in self._addresses():
                    self.prove(each)
        return tuple(each.name for each in self.declaration.variants if each.weight)

    def read(self) -> Reading:
        """What the new replicas count for this endpoint. Raises BackendError."""
        found = Reading()
        for each in self._addresses():
            found = found.plus(reading.read(local.metrics(each), self.declaration.name, each))
        return found

    def check(self) -> None:
        """Raises OrchestratorError when somebody else changed the endpoint since the last shift."""
        if self.is_changed:
            raise OrchestratorError("somebody else changed it meanwhile", hint="look what is served; deploy again")

    @property
    def is_changed(self) -> bool:
        """Whether what is there is no longer what was applied here."""
        live = self.cluster.get(
            objects.KIND, self.declaration.name, self.after["metadata"]["namespace"], group=objects.GROUP
        )
        return live is None or objects.mark(self.after) not in (objects.mark(live), canary.mark(live))

    def _addresses(self) -> Sequence[str]:
        """Where the new replicas answer, each by itself: a Service would lead to any of them."""
        labels = f"{objects.OF_SERVICE}={self.declaration.name}"
        pods = self.cluster.list("Pod", self.after["metadata"]["namespace"], labels=labels)
        mark = objects.mark(self.after)
        return [address for pod in pods if _mark(pod) == mark and (address := _address(pod))]


def _mark(pod: Manifest) -> str:
    return str((pod["metadata"].get("annotations") or {}).get(objects.MARK, ""))


def _address(pod: Manifest) -> str:
    status: Any = pod.get("status") or {}
    conditions = status.get("conditions") or ()
    is_ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
    if not is_ready or pod["metadata"].get("deletionTimestamp") or not (ip := status.get("podIP")):
        return ""
    (container,) = (each for each in pod["spec"]["containers"] if each["name"] == runtime.CONTAINER)
    port = next((each["containerPort"] for each in container.get("ports") or ()), runtime.PORT)
    return f"http://[{ip}]:{port}" if ":" in ip else f"http://{ip}:{port}"
