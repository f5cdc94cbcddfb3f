"""What a real cluster says when objects do not get ready, and when an account may not do what it wants."""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator import cluster as clusters
from orchestrator.cluster import Cluster, RefusedError
from orchestrator.errors import BackendError

Object = dict[str, Any]
SOON = 3.0


def pod_spec(**given: Any) -> Object:
    container = {"name": "web", "image": "registry.invalid/web:1", **given.pop("container", {})}
    return {"containers": [container], **given}


def pod(name: str = "p", **given: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod_spec(**given)}


def deployment(name: str = "web", **given: Any) -> Object:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod_spec(**given)}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def job(name: str = "once", **given: Any) -> Object:
    template = {"spec": pod_spec(restartPolicy="Never", **given)}
    spec = {"backoffLimit": 0, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def quota(name: str, **hard: str) -> Object:
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": {"hard": hard}}


@pytest.fixture
def cluster(cluster_namespace: str) -> Iterator[Cluster]:
    made = clusters.connect(environment=os.environ, namespace=cluster_namespace)
    yield made
    made.api.pool.clear()


def waited(cluster: Cluster, made: Object, *, seconds: float = SOON, stuck: float = 1.0) -> str:
    """What is said of an object that does not get ready."""
    with pytest.raises(BackendError) as caught:
        cluster.wait([made], seconds=seconds, stuck=stuck)
    return str(caught.value).replace(cluster.namespace, "HERE")


def status(api: Any, namespace: str, name: str, **given: Any) -> None:
    """What a kubelet would say of a pod."""
    api.merge(f"/api/v1/namespaces/{namespace}/pods/{name}/status", {"status": given})


def of(cluster: Cluster, kind: str = "Pod", count: int = 1) -> Sequence[Any]:
    end = time.monotonic() + 20
    while len(found := cluster.list(kind)) < count:
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def container(**state: Any) -> list[Object]:
    one = {"name": "web", "image": "registry.invalid/web:1", "imageID": "", "ready": False, "restartCount": 0}
    return [{**one, **state}]


def test_what_is_ready_is_returned_as_it_is_now(cluster: Cluster) -> None:
    told: list[Any] = []
    made = deployment()
    made["spec"]["replicas"] = 0
    cluster.apply([made])
    (live,) = cluster.wait([made], seconds=20, said=lambda about, progress: told.append((about.name, progress.done)))
    assert live["status"]["observedGeneration"] == 1
    assert told[-1] == ("web", True)


def test_a_pod_that_no_node_can_take(cluster: Cluster, workers: Any) -> None:
    wants = {"resources": {"requests": {"cpu": "2k"}}}
    tolerates = [{"key": "orchestrator-tests/node", "operator": "Exists"}]
    cluster.apply([deployment(container=wants, tolerations=tolerates)])
    text = waited(cluster, deployment())
    assert "Deployment web in namespace HERE is not ready after 3 s: 0 of 1 pods are available; pod web-" in text
    assert "lack cpu (it asks for 2k)" in text or "lacks cpu (it asks for 2k)" in text
    assert re.search(r"taints that it does not tolerate \(.*nvidia.com/gpu=present.*\)", text)


def test_a_pod_for_labels_that_no_node_has(cluster: Cluster, workers: Any) -> None:
    tolerates = [{"operator": "Exists"}]
    cluster.apply([pod(nodeSelector={"nvidia.com/gpu.product": "NVIDIA-NONE"}, tolerations=tolerates)])
    text = waited(cluster, pod())
    assert "not have the labels it asks for (nvidia.com/gpu.product=NVIDIA-NONE)" in text


def test_an_image_that_does_not_exist_is_not_waited_for_long(cluster: Cluster, api: Any) -> None:
    cluster.apply([deployment()])
    name = of(cluster)[0]["metadata"]["name"]
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "registry.invalid/web:1"'}
    status(api, cluster.namespace, name, containerStatuses=container(state={"waiting": waiting}))
    event(api, cluster.namespace, of(cluster)[0], "Failed", 'Failed to pull image "registry.invalid/web:1": not found')
    started = time.monotonic()
    text = waited(cluster, deployment(), seconds=60)
    assert time.monotonic() - started < 15
    assert text == (
        f"Kubernetes: Deployment web in namespace HERE is not ready: 0 of 1 pods are available; pod {name}: container "
        "web: image registry.invalid/web:1 cannot be pulled: the registry has no such image\n"
        "  hint: is its tag right, and was it pushed? orc build PIPELINE --push"
    )


def event(api: Any, namespace: str, about: Any, reason: str, message: str) -> None:
    involved = {"apiVersion": "v1", "kind": about["kind"], "namespace": namespace}
    involved |= {"name": about["metadata"]["name"], "uid": about["metadata"]["uid"]}
    made = {"metadata": {"generateName": "e"}, "involvedObject": involved, "type": "Warning"}
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    body = {**made, "reason": reason, "message": message, "lastTimestamp": now, "count": 3}
    api.create(f"/api/v1/namespaces/{namespace}/events", body)


def test_events_of_an_object_are_told(cluster: Cluster, api: Any) -> None:
    cluster.apply([pod(), pod("q")])
    made = cluster.get("Pod", "p")
    assert made is not None
    event(api, cluster.namespace, made, "BackOff", "again")
    mine = [each for each in cluster.events(made) if each.reason == "BackOff"]
    assert [(each.message, each.is_warning, each.count, each.about.name) for each in mine] == [("again", True, 3, "p")]
    other = cluster.get("Pod", "q")
    assert other is not None
    assert "BackOff" not in {each.reason for each in cluster.events(other)}


def test_memory_beyond_the_limit(cluster: Cluster, api: Any) -> None:
    cluster.apply([pod(container={"resources": {"limits": {"memory": "64Mi"}}})])
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    status(api, cluster.namespace, "p", phase="Failed", containerStatuses=container(state=ended))
    assert waited(cluster, pod()) == (
        "Kubernetes: Pod p in namespace HERE failed: it failed; container web was killed: it used more memory than its "
        "limit of 64Mi\n  hint: give it more by resources.memory"
    )


def test_the_newest_revision_is_looked_at(cluster: Cluster, api: Any) -> None:
    cluster.apply([deployment()])
    old = of(cluster)[0]["metadata"]["name"]
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "old" not found'}
    status(api, cluster.namespace, old, containerStatuses=container(state={"waiting": waiting}))
    cluster.apply([deployment(container={"image": "registry.invalid/web:2"})])
    new = next(each for each in of(cluster, count=2) if each["metadata"]["name"] != old)["metadata"]["name"]
    waiting = {"reason": "CreateContainerConfigError", "message": 'configmap "new" not found'}
    status(api, cluster.namespace, new, containerStatuses=container(state={"waiting": waiting}))
    text = waited(cluster, deployment(), seconds=30)
    assert "container web needs ConfigMap new, which does not exist" in text
    assert "old" not in text


def test_a_quota_that_is_used_up(cluster: Cluster) -> None:
    cluster.apply([quota("runs", pods="0")])
    end = time.monotonic() + 20
    while "hard" not in ((cluster.get("ResourceQuota", "runs") or {}).get("status") or {}):
        assert time.monotonic() < end
        time.sleep(0.1)
    with pytest.raises(RefusedError) as caught:
        cluster.apply([pod()])
    assert str(caught.value).replace(cluster.namespace, "HERE") == (
        "Kubernetes: Pod p in namespace HERE: quota runs is exceeded (pods: 0 allowed, 0 used, 1 more asked for)\n"
        "  hint: kubectl describe resourcequota runs"
    )
    for made in (deployment(), job()):
        cluster.apply([made])
        text = waited(cluster, made, seconds=30)
        assert "its pods are not allowed: quota runs is exceeded (pods: 0 allowed, 0 used, 1 more asked for)" in text


def test_a_quota_that_wants_limits(cluster: Cluster) -> None:
    cluster.apply([quota("sizes", **{"limits.memory": "1Gi"})])
    end = time.monotonic() + 20
    while True:
        try:
            cluster.apply([pod(f"p{time.monotonic_ns()}")])
        except RefusedError as error:
            text = str(error)
            break
        assert time.monotonic() < end
    assert "quota sizes asks every container for limits.memory of web" in text


def test_a_pod_that_is_not_secure_enough(cluster: Cluster, new_namespace: Any) -> None:
    name = new_namespace(labels={"pod-security.kubernetes.io/enforce": "restricted"})
    made = {**pod(), "metadata": {"name": "p", "namespace": name}}
    with pytest.raises(RefusedError, match="Pod Security 'restricted:latest' does not allow it: allowPrivilegeEscal"):
        cluster.apply([made])
    below = {**deployment(), "metadata": {"name": "web", "namespace": name}}
    cluster.apply([below])
    assert "its pods are not allowed: Pod Security 'restricted:latest': allow" in waited(cluster, below, seconds=30)


def test_a_service_account_that_is_missing(cluster: Cluster) -> None:
    made = deployment(serviceAccountName="orchestrator-runner")
    cluster.apply([made])
    assert "its service account orchestrator-runner does not exist" in waited(cluster, made, seconds=30)


def test_a_claim_that_no_volume_fits(cluster: Cluster) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "none-of-this-name",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    cluster.apply([claim])
    assert "its storage class none-of-this-name does not exist" in waited(cluster, claim, seconds=30)


def test_a_job_that_failed_is_told_at_once(cluster: Cluster, api: Any) -> None:
    cluster.apply([job()])
    name = of(cluster)[0]["metadata"]["name"]
    ended = {"terminated": {"exitCode": 3, "reason": "Error", "message": "no such column: age"}}
    status(api, cluster.namespace, name, phase="Failed", containerStatuses=container(state=ended))
    text = waited(cluster, job(), seconds=30)
    assert text.startswith("Kubernetes: Job once in namespace HERE failed: Job has reached the specified backoff limit")
    assert f"pod {name}: container web ended with code 3: no such column: age" in text


def test_the_log_of_what_is_not_there(cluster: Cluster) -> None:
    with pytest.raises(RefusedError, match=r"Pod none in namespace \S+: pods \"none\" not found"):
        list(cluster.logs("none"))


def test_an_inference_service_without_kserve(cluster: Cluster, definitions: None) -> None:
    made = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "m"},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}}}},
    }
    cluster.apply([made])
    assert "KServe has not said anything of it; is its controller running?" in waited(cluster, made, seconds=1)


Account = Callable[..., Cluster]


@pytest.fixture
def account(cluster: Cluster, api: Any, tmp_path: Path) -> Iterator[Account]:
    """An account of the namespace with these rights, logged in by its own token as a pod is."""
    made: list[Cluster] = []

    def make(*rules: Object) -> Cluster:
        space = cluster.namespace
        named = {"metadata": {"name": "tester"}}
        rbac = "rbac.authorization.k8s.io"
        subject = {"kind": "ServiceAccount", "name": "tester", "namespace": space}
        role = {"kind": "Role", "name": "tester", "apiGroup": rbac}
        cluster.apply(
            [
                {"apiVersion": "v1", "kind": "ServiceAccount", **named},
                {"apiVersion": f"{rbac}/v1", "kind": "Role", **named, "rules": list(rules)},
                {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", **named, "subjects": [subject], "roleRef": role},
            ]
        )
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
        path = f"/api/v1/namespaces/{space}/serviceaccounts/tester/token"
        (tmp_path / "token").write_text(api.create(path, asked)["status"]["token"], encoding="utf-8")
        written = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text(encoding="utf-8"))
        found = written["clusters"][0]["cluster"]
        authority = found.get("certificate-authority-data")
        raw = base64.b64decode(authority) if authority else Path(found["certificate-authority"]).read_bytes()
        (tmp_path / "ca.crt").write_bytes(raw)
        (tmp_path / "namespace").write_text(space, encoding="utf-8")
        host, _, port = found["server"].removeprefix("https://").rstrip("/").partition(":")
        environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port or "443"}
        made.append(clusters.connect_with_token(tmp_path, environment=environment))
        return made[-1]

    yield make
    for each in made:
        each.api.pool.clear()


def rule(group: str, resource: str, *verbs: str) -> Object:
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}


def config_map(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"x": "1"}}


def test_an_account_does_what_it_may_and_nothing_else(cluster: Cluster, account: Account) -> None:
    tester = account(rule("", "configmaps", "get", "create", "patch"))
    who = f"system:serviceaccount:{cluster.namespace}:tester"
    tester.apply([config_map("a")])
    for act, verb, what in (
        (lambda: tester.apply([deployment()]), "get", "deployments.apps"),
        (lambda: tester.delete([config_map("a")]), "delete", "configmaps"),
        (lambda: tester.list("Secret"), "list", "secrets"),
    ):
        with pytest.raises(RefusedError) as caught:
            act()
        assert f"{who} may not {verb} {what} in namespace {cluster.namespace}" in str(caught.value)
        assert f"  hint: kubectl auth can-i {verb} {what} -n {cluster.namespace} --as {who}" in str(caught.value)


def test_an_account_that_may_not_apply_one_of_all_applies_none(cluster: Cluster, account: Account) -> None:
    tester = account(rule("", "configmaps", "*"), rule("apps", "deployments", "get"))
    with pytest.raises(RefusedError, match=r"may not patch deployments.apps"):
        tester.apply([config_map("a"), deployment()])
    assert cluster.get("ConfigMap", "a") is None


def test_an_account_cannot_grant_what_it_does_not_have(account: Account) -> None:
    tester = account(rule("rbac.authorization.k8s.io", "roles", "get", "create", "patch"))
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "more"},
        "rules": [rule("", "secrets", "*")],
    }
    with pytest.raises(RefusedError, match="it grants rights that we do not have ourselves"):
        tester.apply([role])


def test_prune_by_an_account_that_may_list_few_kinds(account: Account) -> None:
    tester = account(rule("", "configmaps", "*"))
    tester.apply([config_map("a"), config_map("b")], owner="one")
    assert [each.name for each in tester.prune("one", [config_map("a")])] == ["b"]


def test_a_token_that_expired_is_told(account: Account, tmp_path: Path) -> None:
    tester = account(rule("", "configmaps", "get"))
    (tmp_path / "token").write_text("expired", encoding="utf-8")
    with pytest.raises(RefusedError, match=r"our login is not accepted \(the account of "):
        tester.get("ConfigMap", "a")


def test_who_may_not_look_below_is_told_what_it_may_see(cluster: Cluster, account: Account) -> None:
    cluster.apply([deployment(serviceAccountName="none")])
    tester = account(rule("apps", "deployments", "get"))
    text = waited(tester, deployment(), seconds=3)
    assert text.startswith("Kubernetes: Deployment web in namespace HERE is not ready after 3 s: ")


PAUSE = "localhost/orchestrator-test/pause:1"


def on_node(name: str, namespace: str, **given: Any) -> Object:
    """A Deployment that Pod Security "restricted" admits."""
    alone = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "runAsUser": 65532}
    alone |= {"capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {"image": PAUSE, "securityContext": alone, **given}
    made = deployment(name, container=container, terminationGracePeriodSeconds=0)
    made["metadata"]["namespace"] = namespace
    return made


REAL: dict[str, tuple[Object, str]] = {
    "image": ({"image": "localhost/none:1"}, r"image localhost/none:1 cannot be pulled: the registry does not answer"),
    "name": ({"image": "UPPER/x:1"}, r"image UPPER/x:1 cannot be pulled: that is no name of an image"),
    "never": ({"image": "localhost/none:1", "imagePullPolicy": "Never"}, r"it is not on the node, and imagePullPolicy"),
    "secret": (
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k"}}}]},
        r"container web needs Secret none, which does not exist",
    ),
    "command": (
        {"command": ["/no/such"]},
        r"container web cannot be \w+: its image has no command /no/such",
    ),
    "probe": (
        {"readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}},
        r"container web runs, and does not answer as it should: Readiness probe failed: .*connection refused",
    ),
    "ends": ({"args": ["hello", "world"]}, r"container web .*ended with code 0\n  \| hello world"),
}


def test_why_pods_of_a_real_node_do_not_run(node_namespace: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    found = clusters.connect(environment=os.environ, namespace=node_namespace)
    objects = {name: on_node(name, node_namespace, **given) for name, (given, _) in REAL.items()}
    good = on_node("good", node_namespace)
    found.apply([*objects.values(), good])
    with ThreadPoolExecutor(8) as pool:
        told = dict(
            zip(
                objects, pool.map(lambda each: waited(found, each, seconds=25, stuck=5), objects.values()), strict=False
            )
        )
    found.wait([good], seconds=30)
    found.api.pool.clear()
    missing = {name: told[name] for name, (_, words) in REAL.items() if not re.search(words, told[name])}
    assert missing == {}
