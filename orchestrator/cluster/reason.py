"""Why a pod does not run, in words: pure, from the pod and what the cluster said of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.cluster import scheduling
from orchestrator.cluster.objects import Event, Manifest
from orchestrator.cluster.refusal import quota_words

_NO_COMMAND = re.compile(r'exec: "([^"]*)": (?:executable file not found|stat [^:]*: no such file)')


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something does not run."""

    text: str
    is_stuck: bool = False
    """Whether nobody expects it to mend itself: an image that does not exist, a secret that is missing."""
    log_of: str = ""
    """The container whose last lines say more."""
    is_previous: bool = False
    """Whether those lines are of the container that ended, before it was started again."""
    hint: str = ""
    pod: str = ""
    is_enough: bool = False
    """Whether the object is as far as it gets alone: a claim that waits for the first pod that uses it."""
    rank: int = 0
    """How near to the cause: the highest is told."""


def of_pod(pod: Manifest, events: Sequence[Event] = ()) -> Reason | None:
    """Why a pod does not run or ended badly; None for one that runs, or is only starting."""
    found = [*_containers(pod, events), *_pod(pod, events)]
    return max(found, key=lambda reason: reason.rank, default=None)


def of_events(events: Iterable[Event]) -> Reason | None:
    """Why something makes no pods, by the latest warning of it."""
    listed = list(events)
    if listed and listed[-1].reason == "WaitForFirstConsumer":
        return Reason("it is bound when the first pod uses it", is_enough=True)
    for event in reversed(listed):
        if event.reason == "FailedBinding":  # Not a warning, though nothing comes of it.
            return Reason(not_created(event.message), rank=3)
        if event.is_warning and event.reason in (
            "FailedCreate",
            "ProvisioningFailed",
            "FailedBinding",
            "FailedMount",
            "InternalError",
        ):
            return Reason(not_created(event.message), is_stuck=_is_lasting(event.message), rank=3)
    return None


def not_created(message: str) -> str:
    """A sentence of a controller that was not let make its pods, in words."""
    text = " ".join(message.split())
    if "exceeded quota" in text:
        return f"its pods are not allowed: {quota_words(text)}"
    if violates := re.search(r'violates PodSecurity "([^"]*)": (.*)', text):
        return f"its pods are not allowed: Pod Security {violates[1]!r}: {violates[2]}"
    if account := re.search(r'serviceaccount "([^"]*)" not found', text):
        return f"its service account {account[1]} does not exist"
    if "no storage class is set" in text:
        return "no volume fits it, and the cluster has no default storage class to make one"
    if storage := re.search(r'storageclass\S* "([^"]*)" not found', text):
        return f"its storage class {storage[1]} does not exist"
    if denied := re.search(r'admission webhook "([^"]*)" denied the request:? ?(.*)', text):
        return f"its pods are not allowed: {denied[1]} refuses them: {denied[2]}"
    if forbidden := re.search(r"is forbidden: (.*)", text):
        return f"its pods are not allowed: {forbidden[1]}"
    return text


def _is_lasting(message: str) -> bool:
    return any(
        word in message for word in ("exceeded quota", "violates PodSecurity", "not found", "denied", "forbidden")
    )


def _pod(pod: Manifest, events: Sequence[Event]) -> Iterator[Reason]:
    status: Mapping[str, Any] = pod.get("status") or {}
    if status.get("reason") == "Evicted":
        yield Reason(f"it was evicted: {status.get('message', '')}".rstrip(": "), rank=6)
    elif status.get("phase") == "Failed" and status.get("message"):
        yield Reason(str(status["message"]), rank=2)
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") in ("Unschedulable", "SchedulingGated"):
            yield Reason(scheduling.unschedulable(str(condition.get("message", "")), pod), rank=4)
    for event in reversed(events):
        if event.is_warning and event.reason in ("FailedMount", "FailedAttachVolume"):
            yield Reason(_mount(event.message), is_stuck="not found" in event.message, rank=3)
            return
        if event.is_warning and event.reason == "FailedCreatePodSandBox":
            yield Reason(f"its sandbox is not made: {_one_line(event.message)}", rank=3)
            return


def _containers(pod: Manifest, events: Sequence[Event]) -> Iterator[Reason]:
    status: Mapping[str, Any] = pod.get("status") or {}
    is_restarted = (pod.get("spec") or {}).get("restartPolicy", "Always") == "Always"
    for each in status.get("initContainerStatuses") or ():
        yield from _container(pod, each, events, is_to_stay=False)
    for each in status.get("containerStatuses") or ():
        yield from _container(pod, each, events, is_to_stay=is_restarted)


def _container(
    pod: Manifest, status: Mapping[str, Any], events: Sequence[Event], *, is_to_stay: bool
) -> Iterator[Reason]:
    """What is wrong with one container; `is_to_stay` where it must not end, not even well."""
    name, times = str(status.get("name", "")), status.get("restartCount", 0)
    state: Mapping[str, Any] = status.get("state") or {}
    waiting: Mapping[str, Any] = state.get("waiting") or {}
    last = (status.get("lastState") or {}).get("terminated") or {}
    ended = state.get("terminated") or {}
    match waiting.get("reason"):
        case "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable":
            yield _image(name, status, waiting, events)
        case "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError":
            yield _configuration(name, str(waiting.get("message", "")))
        case "CrashLoopBackOff":
            again = "1 restart" if times == 1 else f"{times} restarts"
            text = f"container {name} ends each time it is started ({again}): {_ended(pod, name, last)}"
            yield Reason(text, is_stuck=times >= 3, log_of=name, is_previous=True, rank=5, hint=_memory_hint(last))
    if ended and (ended.get("exitCode") or is_to_stay):
        yield Reason(f"container {name} {_ended(pod, name, ended)}", log_of=name, rank=5, hint=_memory_hint(ended))
    elif "running" in state and last and times and not status.get("ready"):
        text = f"container {name} {_ended(pod, name, last)}, and was started again"
        yield Reason(text, log_of=name, is_previous=True, rank=4, hint=_memory_hint(last))
    elif "running" in state and not status.get("ready") and (probe := _probe(name, events)):
        yield Reason(probe, log_of=name, rank=1)


def _image(name: str, status: Mapping[str, Any], waiting: Mapping[str, Any], events: Sequence[Event]) -> Reason:
    image, said = str(status.get("image", "")), str(waiting.get("message", ""))
    # The back-off says nothing of its cause; the event of the pull before it does.
    pulls = [each.message for each in events if each.reason == "Failed" and "pull image" in each.message]
    answer = pulls[-1] if pulls and ("Back-off" in said or not said) else said
    why, hint = _registry(answer)
    if waiting.get("reason") == "InvalidImageName":
        why, hint = "that is no name of an image", ""
    if waiting.get("reason") == "ErrImageNeverPull":
        why, hint = "it is not on the node, and imagePullPolicy is Never", "kind load docker-image IMAGE"
    return Reason(f"container {name}: image {image} cannot be pulled: {why}", is_stuck=True, rank=5, hint=hint)


def _registry(answer: str) -> tuple[str, str]:
    """What the registry answered, and what to do."""
    text = _one_line(answer)
    if "invalid reference format" in text:
        return "that is no name of an image", ""
    if "pull access denied" in text or "insufficient_scope" in text:
        return (
            "the registry has no such image, or shows it to others only",
            "is its name right? imagePullSecrets log in",
        )
    if "not found" in text or "manifest unknown" in text or "does not exist" in text:
        return "the registry has no such image", "is its tag right, and was it pushed? orc build PIPELINE --push"
    if any(word in text for word in ("401", "403", "unauthorized", "denied", "authorization failed", "authentication")):
        return "the registry does not let the cluster in", "imagePullSecrets of the pod's service account say who it is"
    if "no such host" in text:
        return "there is no such registry: its host name is not known", ""
    if "connection refused" in text or "timeout" in text or "deadline exceeded" in text:
        return "the registry does not answer", ""
    if "server gave HTTP response to HTTPS client" in text:
        return (
            "the registry speaks plain HTTP, and the nodes ask by HTTPS",
            "the registry must be declared insecure to containerd",
        )
    return text or "the cluster gives no reason yet", ""


def _configuration(name: str, message: str) -> Reason:
    text = _one_line(message)
    if missing := re.search(r'(secret|configmap) "([^"]*)" not found', text):
        kind = {"secret": "Secret", "configmap": "ConfigMap"}[missing[1]]
        return Reason(f"container {name} needs {kind} {missing[2]}, which does not exist", is_stuck=True, rank=5)
    if key := re.search(r"couldn't find key (\S+) in (Secret|ConfigMap) \S*?/?([^/\s]+)$", text):
        return Reason(
            f"container {name} needs key {key[1]} of {key[2]} {key[3]}, which is not in it", is_stuck=True, rank=5
        )
    if missing := _NO_COMMAND.search(text):
        text = f"its image has no command {missing[1]}"
    elif "unable to set memory limit" in text or "container init was OOM-killed" in text:
        text = "its memory limit is too small to start in"
    elif "runAsNonRoot" in text:
        text = "its image runs as root, and it must not: give securityContext.runAsUser, or an image with a user"
    return Reason(f"container {name} cannot be made: {text}", is_stuck=True, rank=5)


def _ended(pod: Manifest, name: str, terminated: Mapping[str, Any]) -> str:
    reason, code = terminated.get("reason"), terminated.get("exitCode")
    if reason == "OOMKilled":
        limit = _limit(pod, name)
        return f"was killed: it used more memory than its limit{f' of {limit}' if limit else ''}"
    said = _one_line(str(terminated.get("message") or ""))
    if missing := _NO_COMMAND.search(said):
        return f"cannot be started: its image has no command {missing[1]}"
    if reason in ("StartError", "ContainerCannotRun"):
        return f"cannot be started: {said}"
    return f"ended with code {code}" + (f": {said}" if said else "")


def _memory_hint(terminated: Mapping[str, Any]) -> str:
    return "give it more by resources.memory" if terminated.get("reason") == "OOMKilled" else ""


def _limit(pod: Manifest, name: str) -> str:
    spec: Mapping[str, Any] = pod.get("spec") or {}
    for each in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        if each.get("name") == name:
            return str(((each.get("resources") or {}).get("limits") or {}).get("memory", ""))
    return ""


def _probe(name: str, events: Sequence[Event]) -> str:
    for event in reversed(events):
        if event.reason == "Unhealthy":
            return f"container {name} runs, and does not answer as it should: {_one_line(event.message)}"
    return ""


def _mount(message: str) -> str:
    text = _one_line(message)
    if missing := re.search(r'(secret|configmap) "([^"]*)" not found', text):
        return (
            f"a volume needs {'Secret' if missing[1] == 'secret' else 'ConfigMap'} {missing[2]}, which does not exist"
        )
    return f"a volume cannot be mounted: {text}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
