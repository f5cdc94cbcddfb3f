"""How far endpoints on a cluster are on their way, looked at again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator import cluster
from orchestrator.cluster import Cluster, Manifest, Progress
from orchestrator.serving.kserve import objects, rollout

# A refusal may still be that of the object before: it counts when it stays.
_REFUSED_SECONDS = 10.0


@dataclass(slots=True)
class Rollouts:
    """What `Cluster.wait` waits until: all replicas of an endpoint are those asked for; other objects are ready."""

    cluster: Cluster
    mark: str = ""
    """Of the declaration that must not be replaced meanwhile; "" for whichever there is."""
    clock: Callable[[], float] = time.monotonic
    _refused: dict[str, float] = field(default_factory=dict)

    def __call__(self, live: Manifest) -> Progress:
        if live.get("kind") != objects.KIND or not objects.mark(live):
            return cluster.ready(live)
        name, namespace = live["metadata"]["name"], live["metadata"]["namespace"]
        pods = self.cluster.list("Pod", namespace, labels=f"{objects.OF_SERVICE}={name}")
        now = rollout.progress(live, pods, self.mark or objects.mark(live))
        if not now.refused:
            self._refused.pop(name, None)
            return Progress(now.done, now.text, failed=now.lost)
        since = self._refused.setdefault(name, self.clock())
        return Progress(done=False, text=now.text, failed=self.clock() - since > _REFUSED_SECONDS)
