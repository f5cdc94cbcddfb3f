"""A small controller that stands in for KServe's: each replica is a real model server, a process of this machine.

As KServe does in its mode Standard, it merges the runtime with the InferenceService, starts new replicas before it ends
old ones, keeps `Ready` true while any of them answers, and copies the annotations and labels of the object to its pods.
The pods are objects that nothing schedules; their status says what the process does. A port of its own stands for the
Service: it leads to any replica that is ready.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.conftest import Api, RefusedError

ROOT = Path(__file__).parents[2]
SERVING = "/apis/serving.kserve.io"
# What KServe does not copy to pods.
_KEPT = ("kubectl.kubernetes.io/last-applied-configuration",)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Replica:
    """A pod and the process that stands for its container; without one the pod only looks as its fault says."""

    pod: str
    template: str
    port: int
    folder: Path
    fault: str
    command: list[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    ready: bool = False
    restarts: int = 0
    told: Any = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd="/",
                env={**self.environment, "TMPDIR": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def last_words(self) -> str:
        log = self.folder / "log"
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return "\n".join(lines[-3:])


@dataclass
class Served:
    """What the controller keeps of one InferenceService."""

    service: socket.socket
    replicas: list[Replica] = field(default_factory=list)
    generation: int = 0
    told: Any = None
    canaries: dict[str, list[Replica]] = field(default_factory=dict)
    """By name: replicas that only a gateway leads to, which is not here."""

    @property
    def url(self) -> str:
        return "http://127.0.0.1:%s" % self.service.getsockname()[1]  # noqa: UP031


class Controller:
    """KServe for one namespace. `faults` says, by InferenceService, what is wrong with replicas started from now on:
    `image` (none can be pulled), `silent` (never ready), `quota` (no pod is made)."""

    def __init__(self, api: Api, namespace: str, folder: Path) -> None:
        self.api, self.namespace, self.folder = api, namespace, folder
        self.faults: dict[str, str] = {}
        self.started = 0
        self.errors: list[str] = []
        self._served: dict[str, Served] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"kserve-{namespace}", daemon=True)

    def __enter__(self) -> Controller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(30)
        for served in self._served.values():
            self._close(served)
        assert not self.errors, self.errors

    def ports(self, name: str) -> list[int]:
        """Where every replica of an InferenceService that is ready listens, its canaries' included."""
        served = self._served.get(name)
        if served is None:
            return []
        replicas = [*served.replicas, *(each for replicas in [*served.canaries.values()] for each in replicas)]
        return [replica.port for replica in replicas if replica.ready]

    def _close(self, served: Served) -> None:
        for replica in [*served.replicas, *(each for replicas in served.canaries.values() for each in replicas)]:
            replica.end()
        with contextlib.suppress(OSError):
            served.service.shutdown(socket.SHUT_RDWR)
        served.service.close()

    def _run(self) -> None:
        while not self._ending.wait(0.1):
            try:
                self._look()
            except RefusedError as error:
                if error.status not in (404, 409):  # It was changed or deleted while we looked.
                    self.errors.append(str(error))
            except Exception as error:  # noqa: BLE001  The test that uses it fails with this.
                self.errors.append(repr(error))

    def _look(self) -> None:
        listed = self.api.get(f"{SERVING}/v1beta1/namespaces/{self.namespace}/inferenceservices")["items"]
        found = {each["metadata"]["name"]: each for each in listed if not each["metadata"].get("deletionTimestamp")}
        for name in self._served.keys() - found.keys():
            served = self._served.pop(name)
            for replica in [*served.replicas, *(each for replicas in served.canaries.values() for each in replicas)]:
                self._remove(replica)
            self._close(served)
        for name, service in found.items():
            self._reconcile(name, service)

    def _reconcile(self, name: str, service: Mapping[str, Any]) -> None:
        served = self._served.get(name) or self._served.setdefault(name, Served(_listening()))
        if not served.generation:
            threading.Thread(target=_forward, args=(served,), daemon=True).start()
        runtime = self._runtime(service["spec"]["predictor"]["model"]["runtime"])
        if runtime is None:
            served.generation = served.generation or 1
            failure = {"reason": "RuntimeNotRecognized", "message": "Waiting for runtime to become available"}
            self._tell(name, served, {"transitionStatus": "InvalidSpec", "lastFailureInfo": failure})
            return
        self._reconcile_canaries(name, service, runtime, served)
        template = _template(service, runtime)
        digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        new = [each for each in served.replicas if each.template == digest]
        wanted = service["spec"]["predictor"].get("minReplicas", 1)
        if len(new) < wanted and self.faults.get(name) != "quota":
            served.generation += not new
            for _ in range(wanted - len(new)):
                served.replicas.append(self._start(name, service, template, digest))
        for replica in served.replicas:
            self._observe(replica)
        new = [each for each in served.replicas if each.template == digest]
        if len(new) >= wanted and all(each.ready for each in new[:wanted]):
            for replica in [*new[wanted:], *(each for each in served.replicas if each.template != digest)]:
                served.replicas.remove(replica)
                self._remove(replica)
        failed = next((each for each in served.replicas if each.restarts), None)
        failure = {"reason": "ModelLoadFailed", "message": failed.last_words()} if failed else {}
        model = {"transitionStatus": "BlockedByFailedLoad" if failed else "UpToDate", "lastFailureInfo": failure}
        self._tell(name, served, model)

    def _reconcile_canaries(self, name: str, service: Mapping[str, Any], runtime: Any, served: Served) -> None:
        """As KServe does: a predictor laid over the other one, as many replicas as it says, no autoscaler."""
        wanted = {each["predictor"]["name"]: each for each in service["spec"].get("canary") or ()}
        for gone in served.canaries.keys() - wanted.keys():
            for replica in served.canaries.pop(gone):
                self._remove(replica)
        for canary, entry in wanted.items():
            template = _template({**service, "spec": {"predictor": entry["predictor"]}}, runtime)
            digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
            replicas = served.canaries.setdefault(canary, [])
            for _ in range(entry["predictor"]["minReplicas"] - len(replicas)):
                replicas.append(self._start(f"{name}-{canary}", service, template, digest))
            for replica in replicas:
                self._observe(replica)

    def _runtime(self, name: str) -> Any:
        own = self.api.found(f"{SERVING}/v1alpha1/namespaces/{self.namespace}/servingruntimes/{name}")
        return own or self.api.found(f"{SERVING}/v1alpha1/clusterservingruntimes/{name}")

    def _start(self, name: str, service: Mapping[str, Any], template: Any, digest: str) -> Replica:
        self.started += 1
        pod = f"{name}-predictor-{digest}-{self.started}"
        metadata = {"name": pod, "labels": template["labels"], "annotations": template["annotations"]}
        owner = {key: service[key] for key in ("apiVersion", "kind")} | {"controller": True, "blockOwnerDeletion": True}
        owner |= {key: service["metadata"][key] for key in ("name", "uid")}
        metadata["ownerReferences"] = [owner]
        port = free_port()
        (container,) = template["spec"]["containers"]
        # Not all replicas of one machine can listen on one port: each pod says which is its own.
        told = {**container, "ports": [{**container["ports"][0], "containerPort": port}]}
        spec = {**template["spec"], "containers": [told], "schedulerName": "nobody"}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        self.api.create(f"/api/v1/namespaces/{self.namespace}/pods", body)
        fault = self.faults.get(name, "")
        replica = Replica(pod, digest, port, self.folder / pod, fault, *self._command(container, port))
        if not fault:
            replica.start()
        return replica

    def _command(self, container: Mapping[str, Any], port: int) -> tuple[list[str], dict[str, str]]:
        """What the container would run, on loopback and a port of its own, and the variables it would have."""
        variables: dict[str, str] = {}
        for each in container["env"]:
            value = each["value"] if "value" in each else self._looked_up(each["valueFrom"])
            if value is not None:
                variables[each["name"]] = _expanded(value, variables)
        program = [sys.executable, *container["command"][1:]]
        given = [{"0.0.0.0": "127.0.0.1", "8080": str(port)}.get(each, each) for each in container["args"]]
        outer = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        return program + given, outer | variables

    def _looked_up(self, source: Mapping[str, Any]) -> str | None:
        ((kind, wanted),) = source.items()
        plural = {"configMapKeyRef": "configmaps", "secretKeyRef": "secrets"}[kind]
        found = self.api.found(f"/api/v1/namespaces/{self.namespace}/{plural}/{wanted['name']}")
        if found is None and wanted.get("optional"):
            return None
        assert found is not None, f"{plural} {wanted['name']} does not exist"
        value: str | None = found["data"].get(wanted["key"])
        return value

    def _observe(self, replica: Replica) -> None:
        """What the process does, as the status of its pod."""
        if replica.restarts:
            return
        state: dict[str, Any] = {"running": {}}
        last: dict[str, Any] = {}
        if replica.fault == "image":
            message = f'Back-off pulling image "{replica.pod}": not found'
            state = {"waiting": {"reason": "ImagePullBackOff", "message": message}}
        elif replica.process is not None and replica.process.poll() is not None:
            # As a kubelet tells it after a minute: that it ends each time.
            replica.ready, replica.restarts = False, 3
            code = replica.process.returncode
            last = {"terminated": {"exitCode": code, "reason": "Error", "message": replica.last_words()}}
            state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}}
        elif replica.process is not None and not replica.ready:
            replica.ready = _is_ready(replica.port)
        container = {"name": "kserve-container", "image": "x", "imageID": "", "ready": replica.ready}
        container |= {"restartCount": replica.restarts, "state": state, "lastState": last}
        ready = {"type": "Ready", "status": "True" if replica.ready else "False"}
        status = {"phase": "Running", "conditions": [ready], "containerStatuses": [container]}
        status |= {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
        if status != replica.told:
            self.api.merge(f"/api/v1/namespaces/{self.namespace}/pods/{replica.pod}/status", {"status": status})
            replica.told = status

    def _tell(self, name: str, served: Served, model: Mapping[str, Any]) -> None:
        some = any(each.ready for each in served.replicas)
        refused = self.faults.get(name) == "quota" and not served.replicas
        reason = (
            {"reason": "FailedCreate", "message": 'pods "x" is forbidden: exceeded quota: small'} if refused else {}
        )
        told = {"status": "True" if some else "False", **reason}
        conditions = [{"type": each, **told} for each in ("IngressReady", "PredictorReady", "Ready")]
        status = {"conditions": conditions, "modelStatus": model, "observedGeneration": served.generation}
        status |= {"url": f"http://{name}-{self.namespace}.example.com"} if some else {}
        status |= {"address": {"url": served.url}} if some else {}
        if status != served.told:
            path = f"{SERVING}/v1beta1/namespaces/{self.namespace}/inferenceservices/{name}/status"
            self.api.merge(path, {"status": {"url": None, "address": None, **status}})
            served.told = copy.deepcopy(status)

    def _remove(self, replica: Replica) -> None:
        self.api.delete(f"/api/v1/namespaces/{self.namespace}/pods/{replica.pod}", now=True)
        replica.end()


def _template(service: Mapping[str, Any], runtime: Mapping[str, Any]) -> dict[str, Any]:
    """The pod as KServe makes it: the runtime's container with the model's fields over it, lists by name."""
    metadata, predictor = service["metadata"], dict(service["spec"]["predictor"])
    model = predictor.pop("model")
    ((container,), spec) = copy.deepcopy(runtime["spec"]["containers"]), runtime["spec"]
    merged = {each["name"]: each for each in [*container.get("env", []), *model.get("env", [])]}
    container |= {"env": [*merged.values()], "resources": model.get("resources", {})}
    # KServe fills the container in as a Go template; one that it cannot read is refused.
    assert "{{" not in json.dumps(container), container
    annotations = {**spec.get("annotations", {}), **metadata.get("annotations", {}), **predictor.get("annotations", {})}
    labels = {**metadata.get("labels", {}), "component": "predictor"}
    labels |= {"serving.kserve.io/inferenceservice": metadata["name"], "app": f"isvc.{metadata['name']}-predictor"}
    fields = ("serviceAccountName", "automountServiceAccountToken", "terminationGracePeriodSeconds", "nodeSelector")
    pod = {key: predictor[key] for key in (*fields, "tolerations") if key in predictor}
    return {
        "labels": labels,
        "annotations": {key: value for key, value in annotations.items() if key not in _KEPT},
        "spec": {**pod, "containers": [container], "volumes": spec.get("volumes", [])},
    }


def _expanded(value: str, variables: Mapping[str, str]) -> str:
    """A variable's value as the kubelet makes it: $(NAME) filled in, $$ one dollar."""

    def filled(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", filled, value)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _listening() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener


def _forward(served: Served) -> None:
    """The Service: each connection goes to a replica that is ready, of whatever version."""
    for turn in _turns():
        try:
            client, _ = served.service.accept()
        except OSError:
            return
        ready = [each for each in served.replicas if each.ready]
        if not ready:
            client.close()
            continue
        try:
            upstream = socket.create_connection(("127.0.0.1", ready[turn % len(ready)].port), 5)
        except OSError:
            client.close()
            continue
        for one, other in ((client, upstream), (upstream, client)):
            threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _turns() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def _pump(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    for each in (one, other):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        time.sleep(0)
        each.close()
