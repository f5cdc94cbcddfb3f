"""The cluster that $KUBECONFIG names. `make cluster` starts one for the tests where none is at hand."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # What the tests share is the package `bed`.
# A cluster that `prepare.py` started says so; only there do tests add nodes.
OURS = "/api/v1/namespaces/kube-system/configmaps/orchestrator-tests"
GPU = "nvidia.com/gpu"
# Nodes of the tests that only look real refuse pods of everybody else; a namespace lets its pods on by an annotation.
# More than one process may run tests (`--numprocesses`): pods of one stay off the nodes of another.
FAKE = {"key": "orchestrator-tests/node", "value": f"fake-{uuid.uuid4().hex[:6]}", "effect": "NoSchedule"}
REAL = {**FAKE, "value": "real"}
TOLERATED = "scheduler.alpha.kubernetes.io/defaultTolerations"
REASON = "needs the API server of $KUBECONFIG: `make cluster` starts one for the tests"


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            if not os.environ.get("KUBECONFIG"):
                item.add_marker(pytest.mark.skip(reason=REASON))


class RefusedError(Exception):
    """The API server said no."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


@dataclass(frozen=True)
class Api:
    """The API server, by paths and plain objects; `user` is whom its administrator speaks for."""

    client: ApiClient
    user: str = ""

    def as_user(self, user: str) -> Api:
        """The same server, asked as somebody else, such as system:serviceaccount:NAMESPACE:NAME."""
        return Api(self.client, user)

    def get(self, path: str) -> dict[str, Any]:
        return self.call("GET", path)

    def found(self, path: str) -> dict[str, Any] | None:
        try:
            return self.get(path)
        except RefusedError as error:
            if error.status == 404:
                return None
            raise

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self.call("POST", path, body)

    def apply(self, path: str, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Server-side apply with strict field validation, as orc does it."""
        options = "?fieldManager=tests&fieldValidation=Strict&force=true" + ("&dryRun=All" if dry_run else "")
        return self.call("PATCH", path + options, body, content="application/apply-patch+yaml")

    def merge(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self.call("PATCH", path, body, content="application/merge-patch+json")

    def delete(self, path: str, *, now: bool = False) -> None:
        """Deletes; `now` does not wait for a kubelet that does not exist."""
        try:
            self.call("DELETE", path + ("?gracePeriodSeconds=0" if now else ""))
        except RefusedError as error:
            if error.status != 404:
                raise

    def call(self, method: str, path: str, body: Any = None, *, content: str = "application/json") -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.text(path, method, body, content=content))
        return answer

    def text(self, path: str, method: str = "GET", body: Any = None, *, content: str = "application/json") -> str:
        """What is answered, as it is: the log of a pod is no object."""
        from kubernetes.client import ApiException

        configuration = self.client.configuration
        headers = {"Accept": "application/json, */*", "Content-Type": content}
        headers |= {"Impersonate-User": self.user} if self.user else {}
        headers |= {"Authorization": told} if (told := configuration.get_api_key_with_prefix("authorization")) else {}
        try:
            response = self.client.rest_client.request(
                method, configuration.host + path, headers=headers, body=body, _request_timeout=30
            )
        except ApiException as error:
            raise RefusedError(error.status, _message(error.body)) from error
        return str(response.data if isinstance(response.data, str) else response.data.decode())

    def until(self, path: str, holds: Callable[[dict[str, Any]], bool], *, seconds: float = 30) -> dict[str, Any]:
        """The object, once it is as wanted."""
        end = time.monotonic() + seconds
        while True:
            seen = self.found(path) or {}
            if seen and holds(seen):
                return seen
            assert time.monotonic() < end, f"{path} is not as wanted after {seconds} s: {json.dumps(seen)[:2000]}"
            time.sleep(0.1)


def _authorization(client: ApiClient) -> dict[str, str]:
    told = client.configuration.get_api_key_with_prefix("authorization")
    return {"Authorization": told} if told else {}


def _message(body: Any) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, TypeError, KeyError):
        return str(body)


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    """The API server, asked by who the kubeconfig says."""
    from kubernetes import config

    client = config.new_client_from_config(os.environ["KUBECONFIG"])
    client.configuration.retries = False
    yield Api(client)
    client.close()
    client.rest_client.pool_manager.clear()


@pytest.fixture(scope="session")
def ours(api: Api) -> None:
    """The cluster is one of `prepare.py`, in which tests may add nodes and everything else."""
    if api.found(OURS) is None:
        pytest.skip("adds nodes, so it runs only in a cluster that `make cluster` started")


@pytest.fixture(scope="module")
def named_environments() -> Iterator[None]:
    """The namespaces that manifests/ names are for one module at a time, whichever process runs it."""
    with Path(tempfile.gettempdir(), "orc-tests-environments.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def definitions(api: Api) -> None:
    """The cluster knows resources of KServe and of Kubeflow Pipelines."""
    group = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for name in ("inferenceservices.serving.kserve.io", "pipelineversions.pipelines.kubeflow.org"):
        if api.found(f"{group}/{name}") is None:
            pytest.skip(f"the cluster has no definition {name}: install it, or let `make cluster` start a cluster")


class Namespaces(Protocol):
    """Makes a namespace: with labels, and with a taint that all its pods tolerate."""

    def __call__(
        self, *, labels: Mapping[str, str] | None = None, tolerate: Mapping[str, str] | None = None
    ) -> str: ...


@pytest.fixture
def new_namespace(api: Api) -> Iterator[Namespaces]:
    """Fresh namespaces, deleted afterwards with what is in them."""
    made: list[str] = []

    def make(*, labels: Mapping[str, str] | None = None, tolerate: Mapping[str, str] | None = None) -> str:
        name = f"orc-test-{uuid.uuid4().hex[:8]}"
        annotations = {TOLERATED: json.dumps([tolerate])} if tolerate else {}
        metadata = {"name": name, "labels": dict(labels or {}), "annotations": annotations}
        api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        made.append(name)
        # Pods are refused until the controllers made the account they run as.
        api.until(f"/api/v1/namespaces/{name}/serviceaccounts/default", lambda _: True)
        return name

    yield make
    for name in made:
        api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def cluster_namespace(new_namespace: Namespaces) -> str:
    """A namespace of the test's own."""
    return new_namespace()


@dataclass(frozen=True)
class Workers:
    """Nodes that only look real: nothing runs on them, and pods are scheduled to them."""

    plain: str
    gpu: str
    spot: str


@pytest.fixture(scope="session")
def workers(api: Api, ours: None) -> Iterator[Workers]:
    """Nodes: plain, of spot capacity, and with GPUs: its label, its taint, and what its device plug-in announces."""
    end = uuid.uuid4().hex[:6]
    made = Workers(f"plain-{end}", f"gpu-{end}", f"spot-{end}")
    _node(api, made.plain)
    labels = {f"{GPU}.present": "true", f"{GPU}.product": "NVIDIA-H100-80GB-HBM3"}
    _node(api, made.gpu, labels, {"key": GPU, "value": "present", "effect": "NoSchedule"}, {GPU: "2"})
    spot = "orchestrator/spot"
    _node(api, made.spot, {spot: "true"}, {"key": spot, "value": "true", "effect": "NoSchedule"})
    yield made
    for name in (made.plain, made.gpu, made.spot):
        api.delete(f"/api/v1/nodes/{name}")


def _node(
    api: Api,
    name: str,
    more: Mapping[str, str] | None = None,
    taint: Mapping[str, str] | None = None,
    devices: Mapping[str, str] | None = None,
) -> None:
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        **(more or {}),
    }
    taints = [FAKE, *([taint] if taint else [])]
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
    api.create("/api/v1/nodes", {**node, "spec": {"taints": taints}})
    capacity = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": "110", **(devices or {})}
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "looks real"}
    ready |= {"lastHeartbeatTime": now, "lastTransitionTime": now}
    status = {"capacity": capacity, "allocatable": capacity, "conditions": [ready]}
    api.merge(f"/api/v1/nodes/{name}/status", {"status": status})
    api.until(f"/api/v1/nodes/{name}", _untainted)


def _untainted(node: dict[str, Any]) -> bool:
    """What a new node is given until it is seen to be ready is gone."""
    return not any(taint["key"].startswith("node.kubernetes.io/") for taint in node["spec"].get("taints", ()))


@pytest.fixture(scope="session")
def fake() -> Mapping[str, str]:
    """The taint of nodes that only look real."""
    return FAKE


@pytest.fixture
def node_namespace(api: Api, new_namespace: Namespaces) -> str:
    """A namespace whose pods really run, where the cluster has a node that runs them; under the level "restricted"."""
    if not os.environ.get("ORC_TEST_IMPORT"):
        pytest.skip("needs a node: `make cluster` has one as root, with containerd, runc and the CNI plug-ins")
    return new_namespace(labels={"pod-security.kubernetes.io/enforce": "restricted"}, tolerate=REAL)
