"""The server of Kubeflow Pipelines, and the cluster its runs are on, as the settings say where they are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchestratorError
from orchestrator.runners import kfp
from orchestrator.settings import Settings

if TYPE_CHECKING:
    from orchestrator.cluster import Cluster

STANDALONE = "kubeflow"
"""The namespace of runs where Kubeflow Pipelines is installed for all users together."""
_SETTINGS = """\
write to orc.toml where yours is (or set ORC_KFP_URL and ORC_KFP_FILES):
  kfp_url = "http://localhost:8080"   # of kind-config.yaml
  kfp_files = "s3://mlpipeline/files" # for local files
a server that is not reached from here yet:
  kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80"""


def connection(settings: Settings, recorded: Mapping[str, Any] | None = None) -> kfp.Connection:
    """How the server is reached: as the settings say, else as a run was recorded. Raises OrchestratorError."""
    before = recorded or {}
    url = settings.kfp_url or str(before.get("url", ""))
    if not url:
        raise OrchestratorError("nothing says where Kubeflow Pipelines is", hint=_SETTINGS)
    return kfp.Connection(
        url,
        namespace=settings.kfp_namespace or str(before.get("namespace", "")),
        token=settings.kfp_token,
        token_file=settings.kfp_token_file,
        cookies=settings.kfp_cookies,
        ca=settings.kfp_ca,
    )


def namespace(settings: Settings) -> str:
    """Where the pods of runs are."""
    return settings.cluster_namespace or settings.kfp_namespace or STANDALONE


def cluster(settings: Settings) -> Cluster:
    """The cluster that runs are on. Raises BackendError, or ModuleNotFoundError without the client of Kubernetes."""
    from orchestrator import cluster as kubernetes

    return kubernetes.connect(context=settings.cluster_context, namespace=namespace(settings), environment=os.environ)
