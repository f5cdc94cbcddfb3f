"""Objects on a real API server: applied, planned, refused in words, pruned, deleted; a server that goes away."""

from __future__ import annotations

import copy
import math
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator import cluster as clusters
from orchestrator.cluster import Action, Cluster, RefusedError, ref
from orchestrator.errors import BackendError
from tests.cluster.proxy import Proxy, random_lives

Object = dict[str, Any]
DEPLOYMENTS = "/apis/apps/v1/namespaces"
REVISION = "deployment.kubernetes.io/revision"


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str = "web", **given: Any) -> Object:
    container = {"name": "web", "image": "registry.invalid/web:1", **given.pop("container", {})}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container], **given.pop("pod", {})}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template, **given}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def quota(**hard: str) -> Object:
    named = {key.replace("_", "."): value for key, value in hard.items()}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "runs"}, "spec": {"hard": named}}


@pytest.fixture
def cluster(cluster_namespace: str) -> Iterator[Cluster]:
    made = clusters.connect(environment=os.environ, namespace=cluster_namespace)
    yield made
    made.api.pool.clear()


def actions(found: Sequence[Any]) -> dict[str, str]:
    return {each.ref.name: str(each.action) for each in found}


def told(cluster: Cluster, *objects: Mapping[str, Any], **given: Any) -> str:
    with pytest.raises(RefusedError) as caught:
        cluster.apply(objects, **given)
    return str(caught.value).removeprefix("Kubernetes: ").replace(cluster.namespace, "HERE")


def test_objects_are_created_then_unchanged_then_changed(cluster: Cluster) -> None:
    objects = [config_map("a", x="1"), config_map("b", x="1")]
    assert actions(cluster.apply(objects)) == {"a": "create", "b": "create"}
    assert actions(cluster.apply(objects)) == {"a": "unchanged", "b": "unchanged"}
    assert actions(cluster.apply([config_map("a", x="2"), objects[1]])) == {"a": "change", "b": "unchanged"}
    live = cluster.get("ConfigMap", "a")
    assert live is not None
    assert live["data"] == {"x": "2"}
    assert {each["manager"] for each in live["metadata"]["managedFields"]} == {"orchestrator"}


def test_what_was_left_out_of_a_file_is_removed(cluster: Cluster) -> None:
    cluster.apply([config_map("a", x="1", y="2")])
    cluster.apply([config_map("a", x="1")])
    live = cluster.get("ConfigMap", "a")
    assert live is not None
    assert live["data"] == {"x": "1"}


def test_what_was_printed_by_the_cluster_can_be_applied_again(cluster: Cluster, api: Any) -> None:
    cluster.apply([deployment()])
    # Its controller writes a number on a new one; what changes in between would look like ours.
    path = f"{DEPLOYMENTS}/{cluster.namespace}/deployments/web"
    live = api.until(path, lambda each: REVISION in each["metadata"].get("annotations", {}))
    assert cluster.apply([live])[0].action is Action.UNCHANGED


def test_a_dry_run_keeps_nothing(cluster: Cluster) -> None:
    assert actions(cluster.apply([config_map("a", x="1")], dry_run=True)) == {"a": "create"}
    assert cluster.get("ConfigMap", "a") is None


def test_a_namespace_and_what_is_in_it_are_applied_together(cluster: Cluster, new_namespace: Any) -> None:
    name = f"{cluster.namespace}-two"
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    # A pod needs the account that a controller makes a moment after the namespace.
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": name},
        "spec": {"containers": [{"name": "c", "image": "registry.invalid/c"}]},
    }
    try:
        changes = cluster.plan([pod, space])
        assert actions(changes) == {name: "create", "p": "create"}
        assert [each.note for each in changes] == ["", "not checked in full: its namespace is made first"]
        wrong = {**pod, "spec": {**pod["spec"], "hostNetwrok": True}}
        with pytest.raises(RefusedError, match=rf"Pod p in namespace {name}: unknown field spec.hostNetwrok"):
            cluster.apply([wrong, space])
        assert cluster.get("Namespace", name) is None
        assert [each.ref.kind for each in cluster.apply([pod, space])] == ["Namespace", "Pod"]
    finally:
        cluster.delete([space], seconds=0)


def widgets(name: str) -> Object:
    group = f"{name}.example.com"
    schema = {"type": "object", "properties": {"size": {"type": "integer"}, "colour": {"type": "string"}}}
    whole = {"type": "object", "properties": {"spec": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": whole}}],
        },
    }


def test_a_definition_and_its_objects_are_applied_and_deleted_together(cluster: Cluster) -> None:
    definition = widgets(cluster.namespace)
    widget = {
        "apiVersion": f"{cluster.namespace}.example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": {"size": 1},
    }
    assert "the cluster knows no Widget of" in told(cluster, widget)
    try:
        cluster.apply([widget, definition])
        wrong = {**widget, "spec": {"size": 1, "color": "red"}}
        # The server publishes the schema of a new kind a moment later.
        end = time.monotonic() + 20
        while "hint" not in (text := told(cluster, wrong)) and time.monotonic() < end:
            time.sleep(0.2)
        assert text == "Widget w in namespace HERE: unknown field spec.color\n  hint: did you mean 'colour'?"
        assert [each.kind for each in cluster.delete([definition, widget], seconds=60)] == [
            "Widget",
            "CustomResourceDefinition",
        ]
    finally:
        cluster.delete([definition], seconds=0)


REFUSED: dict[str, tuple[Callable[[], Object], str]] = {
    "an unknown field": (
        lambda: deployment(container={"imagee": "x"}),
        (
            "Deployment web in namespace HERE: unknown field spec.template.spec.containers[0].imagee\n"
            "  hint: did you mean 'image'?"
        ),
    ),
    "a wrong type": (
        lambda: deployment(replicas="two"),
        "Deployment web in namespace HERE: spec.replicas: expected a number, got string",
    ),
    "a wrong value": (
        lambda: deployment(container={"imagePullPolicy": "Sometimes"}),
        (
            "Deployment web in namespace HERE: spec.template.spec.containers[0].imagePullPolicy: Unsupported value: "
            '"Sometimes": supported values: "Always", "IfNotPresent", "Never"'
        ),
    ),
    "a name too long": (
        lambda: config_map("a" * 254),
        f"ConfigMap {'a' * 20}... in namespace HERE: metadata.name: 254 letters are too long; at most 253 are allowed",
    ),
    "an unknown kind": (
        lambda: {**deployment(), "kind": "Deploymnet"},
        (
            "Deploymnet web in namespace HERE: the cluster knows no Deploymnet of apps/v1\n"
            "  hint: did you mean 'Deployment'?"
        ),
    ),
    "an unknown version": (
        lambda: {**deployment(), "apiVersion": "apps/v1beta1"},
        (
            "Deployment web in namespace HERE: the cluster knows no Deployment of apps/v1beta1\n"
            "  hint: it knows Deployment of apps/v1"
        ),
    ),
    "an operator that is not installed": (
        lambda: {**config_map("a"), "apiVersion": "cert-manager.io/v1", "kind": "Certificate"},
        (
            "Certificate a in namespace HERE: the cluster knows no Certificate of cert-manager.io/v1\n"
            "  hint: cert-manager brings it; is it installed? kubectl api-resources --api-group=cert-manager.io"
        ),
    ),
    "a namespace that is not there": (
        lambda: {**config_map("a"), "metadata": {"name": "a", "namespace": "e-none"}},
        (
            "ConfigMap a in namespace e-none: namespace e-none does not exist\n"
            "  hint: kubectl create namespace e-none, or name another one by --namespace"
        ),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_told_in_words(cluster: Cluster, case: str) -> None:
    make, expected = REFUSED[case]
    assert told(cluster, make()) == expected


def test_one_mistake_leaves_all_as_it_was_and_every_mistake_is_told(cluster: Cluster) -> None:
    text = told(cluster, config_map("a"), deployment("one", replica=1), deployment("two", pause=True))
    assert text == (
        "2 problems, so nothing was applied\n"
        "Deployment one in namespace HERE: unknown field spec.replica\n  hint: did you mean 'replicas'?\n"
        "Deployment two in namespace HERE: unknown field spec.pause\n  hint: did you mean 'paused'?"
    )
    assert cluster.list("ConfigMap", labels="!none") == cluster.list(
        "ConfigMap", fields="metadata.name=kube-root-ca.crt"
    )


def test_a_field_that_cannot_change_is_told(cluster: Cluster) -> None:
    cluster.apply([deployment()])
    changed = deployment()
    changed["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    changed["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    assert told(cluster, changed) == (
        "Deployment web in namespace HERE: spec.selector: it cannot be changed once it is made\n"
        "  hint: delete the object and apply again: orc delete FILE"
    )


def test_another_manager_keeps_its_fields_until_they_are_taken(cluster: Cluster, api: Any) -> None:
    cluster.apply([deployment(replicas=1)])
    path = f"{DEPLOYMENTS}/{cluster.namespace}/deployments/web"
    api.merge(f"{path}?fieldManager=kubectl-scale", {"spec": {"replicas": 0}})
    assert told(cluster, deployment(replicas=1)) == (
        "Deployment web in namespace HERE: spec.replicas is set by kubectl-scale\n"
        "  hint: --force takes them over; or leave them out of the file, and they stay as they are"
    )
    without = deployment()
    del without["spec"]["replicas"]
    assert cluster.apply([without])[0].object["spec"]["replicas"] == 0
    assert cluster.apply([deployment(replicas=1)], force=True)[0].object["spec"]["replicas"] == 1


def test_a_plan_says_which_fields_change_and_changes_none(cluster: Cluster) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
    cluster.apply([deployment(), config_map("old"), secret], owner="set")
    changed = deployment(replicas=2, container={"image": "registry.invalid/web:2"})
    other = {**secret, "stringData": {"password": "hunter3"}}
    planned = cluster.plan([changed, config_map("new"), other], owner="set", prune=True)
    shown = [(each.ref.name, str(each.action), [(f.path, f.old, f.new) for f in each.fields]) for each in planned]
    assert shown == [
        ("new", "create", []),
        ("s", "change", [("data.password", "(hidden)", "(hidden)")]),
        (
            "web",
            "change",
            [
                ("spec.replicas", 0, 2),
                ("spec.template.spec.containers[web].image", "registry.invalid/web:1", "registry.invalid/web:2"),
            ],
        ),
        ("old", "delete", []),
    ]
    assert "hunter" not in repr(planned)
    assert actions(cluster.plan([deployment(), config_map("old"), secret], owner="set", prune=True)) == {
        "old": "unchanged",
        "s": "unchanged",
        "web": "unchanged",
    }


def test_what_others_changed_beside_us_is_no_change_of_ours(cluster: Cluster, api: Any) -> None:
    cluster.apply([deployment()])
    api.merge(
        f"{DEPLOYMENTS}/{cluster.namespace}/deployments/web?fieldManager=others",
        {"metadata": {"annotations": {"seen": "yes"}}, "spec": {"minReadySeconds": 3}},
    )
    assert cluster.plan([deployment()])[0].action is Action.UNCHANGED


def test_prune_takes_what_is_ours_and_left_the_set(cluster: Cluster, api: Any) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    cluster.apply([config_map("kept"), config_map("gone"), deployment("gone-too"), claim], owner="one")
    cluster.apply([config_map("of-two")], owner="two")
    by_hand = config_map("by-hand")
    by_hand["metadata"]["labels"] = {"orchestrator/set": "one"}
    api.create(f"/api/v1/namespaces/{cluster.namespace}/configmaps", by_hand)
    keep = [config_map("kept")]
    assert {each.name for each in cluster.prune("one", keep, dry_run=True)} == {"gone", "gone-too"}
    assert {each.name for each in cluster.prune("one", keep)} == {"gone", "gone-too"}
    left = {each["metadata"]["name"] for each in cluster.list("ConfigMap")}
    assert left == {"kept", "of-two", "by-hand", "kube-root-ca.crt"}
    assert cluster.get("Deployment", "gone-too", group="apps") is None
    assert cluster.get("PersistentVolumeClaim", "data") is not None
    assert cluster.prune("one", keep) == ()


def test_deleting_leaves_no_orphans(cluster: Cluster) -> None:
    cluster.apply([deployment(replicas=2), config_map("a")])
    end = time.monotonic() + 20
    while len(cluster.list("Pod")) < 2 and time.monotonic() < end:
        time.sleep(0.1)
    assert [each.kind for each in cluster.delete([config_map("a"), deployment()])] == ["Deployment", "ConfigMap"]
    assert cluster.list("ReplicaSet", group="apps") == ()
    assert cluster.list("Pod") == ()
    assert cluster.delete([config_map("a"), deployment()]) == ()


def test_what_is_held_is_told_and_the_rest_is_gone_later(cluster: Cluster, api: Any) -> None:
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.com/held"]
    cluster.apply([held, config_map("free")])
    with pytest.raises(BackendError) as caught:
        cluster.delete([held, config_map("free")], seconds=1)
    first = str(caught.value).partition("\n")[0]
    assert first == (
        f"Kubernetes: not gone after 1 s: ConfigMap held in namespace {cluster.namespace} (held by example.com/held)"
    )
    assert cluster.get("ConfigMap", "free") is None
    assert "ConfigMap held in namespace HERE: it is being deleted" in told(cluster, config_map("held"))
    api.merge(f"/api/v1/namespaces/{cluster.namespace}/configmaps/held", {"metadata": {"finalizers": None}})
    cluster.delete([held, config_map("free")], seconds=10)


def test_fifty_objects_take_seconds(cluster: Cluster) -> None:
    objects = [config_map(f"c{number}", x=str(number)) for number in range(50)]
    cluster.apply(objects[:1])
    started = time.monotonic()
    cluster.apply(objects)
    assert time.monotonic() - started < 10


@pytest.fixture
def proxied(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., tuple[Proxy, Cluster]]]:
    """The same cluster behind a proxy that cuts connections."""
    from kubernetes import config

    path = Path(os.environ["KUBECONFIG"])
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    active = config.list_kube_config_contexts(str(path))[1]
    made: list[tuple[Proxy, Cluster]] = []

    def start(lives: Callable[[], int | None]) -> tuple[Proxy, Cluster]:
        changed = copy.deepcopy(written)
        found = next(each for each in changed["clusters"] if each["name"] == active["context"]["cluster"])["cluster"]
        host, _, port = found["server"].removeprefix("https://").rstrip("/").partition(":")
        proxy = Proxy(host, int(port or 443), lives)
        found["server"], found["tls-server-name"] = f"https://127.0.0.1:{proxy.port}", host
        file = path.parent / f"{cluster.namespace}.proxied" if not path.is_absolute() else tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(changed), encoding="utf-8")
        environment = {**os.environ, "KUBECONFIG": str(file)}
        made.append((proxy, clusters.connect(environment=environment, namespace=cluster.namespace)))
        return made[-1]

    yield start
    for proxy, connected in made:
        connected.api.pool.clear()
        proxy.close()


Proxied = Callable[..., tuple[Proxy, Cluster]]


def many(count: int = 30) -> list[Object]:
    return [config_map(f"c{number:02}", x=str(number), y="text" * 50) for number in range(count)]


def wholly(cluster: Cluster, objects: Sequence[Object]) -> None:
    """All objects are there as they were written, and no other."""
    live = {each["metadata"]["name"]: each["data"] for each in cluster.list("ConfigMap") if "x" in each.get("data", {})}
    assert live == {ref(each).name: each["data"] for each in objects}
    assert {each.action for each in cluster.plan(objects)} == {Action.UNCHANGED}


@pytest.mark.parametrize("seed", range(3))
def test_connections_that_are_cut_at_any_moment_are_mended_in_passing(
    cluster: Cluster, proxied: Proxied, seed: int
) -> None:
    # The list of all kinds is some hundred thousand bytes: asked for before connections become short.
    lengths = random_lives(seed, 3_000, 12_000)
    is_short = False
    proxy, behind = proxied(lambda: lengths() if is_short else None)
    behind.catalogue.refresh()
    is_short = True
    behind.api.pool.clear()
    behind.apply(many())
    assert proxy.cut > 3
    wholly(cluster, many())


def test_a_server_that_is_away_for_seconds_is_waited_for(cluster: Cluster, proxied: Proxied) -> None:
    proxy, behind = proxied(lambda: None)
    behind.apply(many(1))
    thread = threading.Timer(0.05, proxy.away, [2.0])
    thread.start()
    behind.apply(many())
    thread.join()
    wholly(cluster, many())


def test_a_server_that_stays_away_is_told_and_the_second_run_goes_on(
    cluster: Cluster, proxied: Proxied, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.cluster import api as apis

    monkeypatch.setattr(apis, "PATIENCE", 1.0)
    proxy, behind = proxied(lambda: None)
    behind.apply(many(1))
    # About what it takes to look at all objects and to apply half of them.
    proxy.left = 60_000
    with pytest.raises(BackendError) as caught:
        behind.apply(many())
    said = r"^(\d+) of 30 objects were applied before; once it is mended the same command goes on$"
    counted = re.search(said, str(caught.value), re.MULTILINE)
    assert counted
    # The answer to the last may have been lost on its way.
    found = len([each for each in cluster.list("ConfigMap") if "x" in each.get("data", {})])
    assert 1 < found < 30
    assert found - int(counted[1]) in (0, 1)
    proxy.left = math.inf
    proxy.is_away = False
    behind.apply(many())
    wholly(cluster, many())


def test_a_certificate_of_another_is_told(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    written = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text(encoding="utf-8"))
    for each in written["clusters"]:
        each["cluster"].pop("certificate-authority-data", None)
        each["cluster"].pop("certificate-authority", None)
    path.write_text(yaml.safe_dump(written), encoding="utf-8")
    wrong = clusters.connect(environment={**os.environ, "KUBECONFIG": str(path)})
    started = time.monotonic()
    with pytest.raises(BackendError, match="shows a certificate we do not trust: unable to get local issuer"):
        wrong.get("ConfigMap", "a")
    assert time.monotonic() - started < 3  # It is not tried again.


def test_a_port_where_nobody_listens_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    path = tmp_path / "kubeconfig"
    written = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text(encoding="utf-8"))
    for each in written["clusters"]:
        each["cluster"]["server"] = f"https://127.0.0.1:{port}"
    path.write_text(yaml.safe_dump(written), encoding="utf-8")
    wrong = clusters.connect(environment={**os.environ, "KUBECONFIG": str(path)})
    with pytest.raises(BackendError, match="does not answer: connection refused"):
        wrong.get("ConfigMap", "a")
