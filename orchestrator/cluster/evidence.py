"""Why an object is not ready, from what hangs below it: its pods, their events, the last lines of their logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.cluster import reason, scheduling
from orchestrator.cluster.objects import Event, Manifest, Ref, ref
from orchestrator.cluster.reason import Reason
from orchestrator.cluster.refusal import RefusedError
from orchestrator.errors import BackendError

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster

_LINES = 5
SERVICE = "serving.kserve.io/inferenceservice"
"""KServe's label on all that it makes for an inference service."""
_OWNERS = ("ReplicaSet", "StatefulSet", "DaemonSet", "Job")


def found(cluster: Cluster, manifest: Manifest) -> Reason | None:
    """The nearest cause that can be seen; None where there is none, or where we may not look."""
    try:
        return next((each for each in _reasons(cluster, manifest) if each), None)
    except BackendError:
        return None


def with_log(cluster: Cluster, manifest: Manifest, because: Reason) -> str:
    """The reason as text, with the last lines of the log that says more."""
    namespace, pod = ref(manifest, cluster.namespace).namespace, because.pod
    if not because.log_of or not pod:
        return because.text
    try:
        lines = list(cluster.logs(pod, because.log_of, namespace=namespace, previous=because.is_previous, tail=_LINES))
    except BackendError:
        return because.text
    said = [line for line in lines if line.strip()]
    return "\n".join([because.text, *(f"  | {line}" for line in said)])


def _reasons(cluster: Cluster, manifest: Manifest) -> Iterator[Reason | None]:
    for pod in sorted(pods(cluster, manifest), key=_made, reverse=True):
        about = reason.of_pod(pod, events(cluster, pod))
        if about:
            name = ref(pod).name
            text = about.text if pod is manifest or manifest.get("kind") == "Pod" else f"pod {name}: {about.text}"
            yield replace(about, text=_with_taints(cluster, pod, text), pod=name)
            if about.text.startswith("no volume is bound"):
                yield None
    for each in _makers(cluster, manifest):
        yield reason.of_events(events(cluster, each))


def _with_taints(cluster: Cluster, pod: Manifest, text: str) -> str:
    """The text with the taints that newer schedulers only count, where we may look at nodes."""
    if scheduling.UNTOLERATED not in text:
        return text
    try:
        taints = scheduling.untolerated(pod, cluster.list("Node"))
    except RefusedError:
        return text
    return text.replace(scheduling.UNTOLERATED, f"{scheduling.UNTOLERATED} ({', '.join(taints)})") if taints else text


def pods(cluster: Cluster, manifest: Manifest) -> tuple[Manifest, ...]:
    """The pods of an object, of a Deployment those of its newest revision."""
    about = ref(manifest, cluster.namespace)
    if about.kind == "Pod":
        return (manifest,)
    if about.kind == "InferenceService":
        # By its label: an account that deploys may see pods, and not what makes them.
        labelled = cluster.list("Pod", about.namespace, labels=f"{SERVICE}={about.name}")
        return tuple(each for each in labelled if _is_of(each, manifest))
    makers = [each for each in _makers(cluster, manifest) if each.get("kind") in _OWNERS]
    uids = {each["metadata"].get("uid") for each in makers}
    found: list[Manifest] = []
    for each in makers:
        labels = _selector(each)
        if labels:
            found.extend(cluster.list("Pod", about.namespace, labels=labels))
    return tuple(each for each in found if uids & set(_owners(each)))


def _is_of(pod: Manifest, service: Manifest) -> bool:
    """Whether a pod is of an inference service as it is now: KServe copies the predictor's annotations to its pods.

    What ails those that are on their way out says nothing about the ones that take their place.
    """
    predictor = (service.get("spec") or {}).get("predictor") or {}
    carried = pod["metadata"].get("annotations") or {}
    is_new = all(carried.get(key) == value for key, value in (predictor.get("annotations") or {}).items())
    return is_new and not pod["metadata"].get("deletionTimestamp")


def events(cluster: Cluster, manifest: Manifest) -> tuple[Event, ...]:
    """What the cluster said of one object, the latest last."""
    about = ref(manifest, cluster.namespace)
    metadata: Mapping[str, Any] = manifest.get("metadata") or {}
    chosen = (
        f"involvedObject.uid={metadata['uid']}"
        if metadata.get("uid")
        else (f"involvedObject.kind={about.kind},involvedObject.name={about.name}")
    )
    listed = cluster.list("Event", about.namespace or "default", fields=chosen)
    return tuple(sorted((_event(each) for each in listed), key=lambda event: event.at))


def _event(manifest: Manifest) -> Event:
    object: Mapping[str, Any] = manifest.get("involvedObject") or {}
    series: Mapping[str, Any] = manifest.get("series") or {}
    at = series.get("lastObservedTime") or manifest.get("lastTimestamp") or manifest.get("eventTime") or ""
    group, _, version = str(object.get("apiVersion", "")).rpartition("/")
    return Event(
        about=Ref(
            str(object.get("kind", "")),
            str(object.get("name", "")),
            str(object.get("namespace", "")),
            group if version else "",
        ),
        reason=str(manifest.get("reason", "")),
        message=str(manifest.get("message", "")),
        is_warning=manifest.get("type") == "Warning",
        count=int(series.get("count") or manifest.get("count") or 1),
        at=str(at or manifest["metadata"].get("creationTimestamp", "")),
    )


def _makers(cluster: Cluster, manifest: Manifest) -> list[Manifest]:
    """The object, and what it made that makes pods: the newest ReplicaSet of a Deployment, KServe's Deployments."""
    about = ref(manifest, cluster.namespace)
    if about.kind == "Deployment":
        labels = _selector(manifest)
        sets = cluster.list("ReplicaSet", about.namespace, group="apps", labels=labels) if labels else ()
        own = [each for each in sets if manifest["metadata"].get("uid") in _owners(each)]
        return [*sorted(own, key=_revision)[-1:], manifest]
    if about.kind == "InferenceService":
        try:
            made = cluster.list("Deployment", about.namespace, group="apps", labels=f"{SERVICE}={about.name}")
        except RefusedError:
            made = ()
        return [*(below for each in made for below in _makers(cluster, each)), manifest]
    return [manifest]


def _selector(manifest: Manifest) -> str:
    labels = ((manifest.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _owners(manifest: Manifest) -> list[str]:
    return [each.get("uid", "") for each in manifest["metadata"].get("ownerReferences") or ()]


def _revision(manifest: Manifest) -> int:
    written = (manifest["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", "0")
    return int(written) if str(written).isdigit() else 0


def _made(manifest: Manifest) -> str:
    return str(manifest["metadata"].get("creationTimestamp", ""))
