"""Which cluster, as whom: a kubeconfig, the account of the pod we are in, or a mounted token."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.cluster.cluster import Cluster


def connect(*, context: str = "", namespace: str = "", environment: Mapping[str, str]) -> Cluster:
    """A cluster by kubeconfig ($KUBECONFIG or ~/.kube/config), or, in a pod without one, by the pod's own account.

    `namespace` is where objects are that name none; by default the context's, or the pod's. Asks the server nothing.
    Raises BackendError.
    """
    raise NotImplementedError


def connect_with_token(folder: Path, *, namespace: str = "", environment: Mapping[str, str]) -> Cluster:
    """The cluster this pod is in, by a mounted service account token: `token`, `ca.crt` and `namespace` in a folder.

    The token is read again when it was changed. Raises BackendError.
    """
    raise NotImplementedError
