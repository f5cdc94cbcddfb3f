"""Kubernetes: objects applied, waited for, compared and deleted. The only importer of its client.

The client is loaded by `connect`, not by importing this.
"""

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.login import connect, connect_with_token
from orchestrator.cluster.objects import Action, Applied, Change, Event, Field, Manifest, Progress, Ref, ref
from orchestrator.cluster.readiness import ready
from orchestrator.cluster.refusal import RefusedError

__all__ = [
    "Action",
    "Applied",
    "Change",
    "Cluster",
    "Event",
    "Field",
    "Manifest",
    "Progress",
    "Ref",
    "RefusedError",
    "connect",
    "connect_with_token",
    "ready",
    "ref",
]
