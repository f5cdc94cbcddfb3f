"""The deploy component in a pod: a process with the rights the chart grants it, a real registry, real model servers.

KServe is stood in for by `kserve.Controller`; everything else is as on a cluster: the API server, the account, the
runtime, the server's program and what it is told.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from components.train.train import Request, train
from orchestrator import program, registry
from orchestrator.model import folder
from orchestrator.registry import backend
from orchestrator.serving.kserve import canary, objects, payload, proof, runtime
from tests.cluster.conftest import Api, Namespaces
from tests.cluster.kserve import ROOT, SERVING, Controller, free_port

COMPONENT = ROOT / "components" / "deploy"
ENDPOINT = ROOT / "pipelines" / "penguins" / "endpoint.yaml"
BAD = 4
"""The version whose answers make no sense."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two classifiers that tell penguins apart, and a regression that has learned nothing but NaN."""
    table = pd.read_csv(ROOT / "pipelines" / "penguins" / "data" / "penguins.csv").drop(columns=["id", "year"])
    made: list[Path] = []
    for request in (
        Request("logistic_regression", target="species", hyperparameters={"C": 1.0}),
        Request("logistic_regression", target="species", hyperparameters={"C": 0.1}),
        Request("linear_regression", target="body_mass_g"),
    ):
        trained = train(table.dropna(), request)
        if request.target == "body_mass_g":
            trained.estimator.intercept_ = float("nan")
        made.append(tmp_path_factory.mktemp("models") / "model")
        folder.save(made[-1], trained.manifest, trained.transform, trained.estimator)
    return made


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory, models: list[Path]) -> Iterator[str]:
    """A real MLflow server; of penguins it has versions 1, 2 and BAD approved, and 3 pending."""
    home = tmp_path_factory.mktemp("mlflow")
    backend.prepare(home / "server.db")
    address = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", address.rpartition(":")[2]]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{home}/server.db"]
    command += ["--artifacts-destination", str(home / "artifacts")]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        _until(lambda: _answers(f"{address}/health"), 90)
        versions = registry.open(address, state=home / "state")
        for number, (model, approval) in enumerate(
            [(models[0], "approved"), (models[1], "approved"), (models[0], "pending"), (models[2], "approved")]
        ):
            versions.create(
                "penguins",
                model=model,
                digest=folder.digest(model),
                metrics={"f1": 0.9},
                parameters={},
                tags={},
                approval=approval,
                reason="f1 > 0.85",
                run=f"run-{number}",
                alias="champion" if number == 1 else None,
            )
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass
class Pod:
    """The deploy task's program, with the account of a namespace and nothing else."""

    api: Api
    namespace: str
    folder: Path
    environment: Mapping[str, str]
    controller: Controller
    tracking: str
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def deploy(self, version: str, text: str = "", **more: str) -> program.Result:
        outputs = self.folder / f"outputs-{time.monotonic_ns()}"
        given = {"version": version, "endpoint": self.file(text)}
        return program.invoke(COMPONENT, given, outputs, environment={**self.environment, **more})

    def start(self, version: str, text: str = "") -> subprocess.Popen[str]:
        """The same as a process that the test looks after."""
        outputs = self.folder / f"outputs-{time.monotonic_ns()}"
        outputs.mkdir()
        command = [sys.executable, "-m", "components.deploy", "--version", version, "--endpoint", str(self.file(text))]
        command += ["--deployed", str(outputs / "deployed"), "--url", str(outputs / "url")]
        environment = {**os.environ, **self.environment, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.started.append(process)
        return process

    def file(self, text: str = "") -> Path:
        path = self.folder / "endpoint.yaml"
        path.write_text(text or ENDPOINT.read_text())
        return path

    @property
    def service(self) -> dict[str, Any] | None:
        return self.api.found(f"{SERVING}/v1beta1/namespaces/{self.namespace}/inferenceservices/penguins")

    @property
    def version(self) -> str:
        """The version that the InferenceService asks for."""
        service = self.service
        return _version(service) if service else ""

    @property
    def pods(self) -> list[str]:
        listed = self.api.get(f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        return sorted(each["metadata"]["name"] for each in listed)

    def answer(self, url: str) -> Any:
        row = {"bill_length_mm": 39.1, "bill_depth_mm": 18.7, "flipper_length_mm": 181, "body_mass_g": 3750}
        row |= {"island": "Torgersen", "sex": "male"}
        with urllib.request.urlopen(f"{url}:predict", json.dumps({"instances": [row]}).encode()) as response:
            return json.load(response)


@pytest.fixture
def new_pod(
    api: Api, definitions: None, new_namespace: Namespaces, tracking: str, tmp_path: Path
) -> Iterator[Callable[[], Pod]]:
    """Namespaces as the chart leaves them, each with KServe at work and an account that deploys."""
    with ExitStack() as stack:
        made: list[Pod] = []

        def make() -> Pod:
            namespace = new_namespace()
            home = tmp_path / namespace
            home.mkdir()
            _install(api, namespace, tracking)
            environment = {
                **_account(api, namespace, home),
                "MLFLOW_TRACKING_URI": tracking,
                "ORC_DEPLOY_SECONDS": "200",
            }
            controller = stack.enter_context(Controller(api, namespace, home / "pods"))
            made.append(Pod(api, namespace, home, environment, controller, tracking))
            return made[-1]

        yield make
        for process in [each for pod in made for each in pod.started]:
            process.kill()
            process.communicate()


@pytest.fixture
def pod(new_pod: Callable[[], Pod]) -> Pod:
    return new_pod()


def _install(api: Api, namespace: str, tracking: str) -> None:
    core = f"/api/v1/namespaces/{namespace}"
    for account in ("orchestrator-deployer", "orchestrator-server"):
        api.create(f"{core}/serviceaccounts", _object("v1", "ServiceAccount", account))
    data = {"data": {"MLFLOW_TRACKING_URI": tracking}}
    api.create(f"{core}/configmaps", {**_object("v1", "ConfigMap", "orchestrator"), **data})
    made = runtime.cluster_serving_runtime("orchestrator/server:test")
    # KServe looks into the namespace first, and the definition of the whole cluster is not this test's to make.
    own = {**_object("serving.kserve.io/v1alpha1", "ServingRuntime", runtime.NAME), "spec": made["spec"]}
    api.create(f"{SERVING}/v1alpha1/namespaces/{namespace}/servingruntimes", own)
    rbac = "rbac.authorization.k8s.io"
    path = f"/apis/{rbac}/v1/namespaces/{namespace}"
    api.create(f"{path}/roles", {**_object(f"{rbac}/v1", "Role", "orchestrator-deployer"), "rules": granted()})
    binding = _object(f"{rbac}/v1", "RoleBinding", "orchestrator-deployer")
    binding["roleRef"] = {"apiGroup": rbac, "kind": "Role", "name": "orchestrator-deployer"}
    binding["subjects"] = [{"kind": "ServiceAccount", "name": "orchestrator-deployer", "namespace": namespace}]
    api.create(f"{path}/rolebindings", binding)


def granted() -> Any:
    """The rights of the account that deploys, as the chart writes them."""
    text = (ROOT / "helm" / "orchestrator" / "templates" / "roles.yaml").read_text()
    role = next(
        each for each in text.split("\n---\n") if "kind: Role\n" in each and "name: orchestrator-deployer\n" in each
    )
    return yaml.safe_load(role[role.index("\nrules:") :])["rules"]


def _object(version: str, kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}


def _account(api: Api, namespace: str, home: Path) -> dict[str, str]:
    """The token of the account that deploys, mounted as a Secret is; the program is told no more of the cluster."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/orchestrator-deployer/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    mounted = home / "token"
    mounted.mkdir()
    (mounted / "token").write_text(api.create(path, request)["status"]["token"])
    (mounted / "namespace").write_text(namespace)
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    cluster = config["clusters"][0]["cluster"]
    authority = cluster.get("certificate-authority-data")
    (mounted / "ca.crt").write_bytes(
        base64.b64decode(authority) if authority else Path(cluster["certificate-authority"]).read_bytes()
    )
    host, _, port = cluster["server"].removeprefix("https://").rstrip("/").rpartition(":")
    found = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port, "ORC_DEPLOYER_TOKEN": str(mounted)}
    return {**found, "ORC_STATE": "", "KUBECONFIG": "", "HOME": str(home)}


def _version(service: Mapping[str, Any]) -> str:
    (variable,) = service["spec"]["predictor"]["model"]["env"]
    return payload.load(variable["value"]).main.version


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def _until(holds: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.1)


def test_deployed_again_and_again_and_rolled_back(pod: Pod) -> None:
    first = pod.deploy("models:/penguins/1")
    assert (first.code, first.stderr) == (0, "")
    url = first.parameters["url"]
    assert first.metadata["deployed"] == {
        "name": "penguins",
        "url": url,
        "namespace": pod.namespace,
        "model": "penguins",
        "version": "1",
    }
    assert pod.answer(url) == {"predictions": ["Adelie"]}
    assert 'answered: {"predictions": ["Adelie"]}' in first.stdout
    assert "waiting: 0 of 1 replicas are ready" in first.stdout
    declared = json.loads(first.artifacts["deployed"].read_text())
    assert (declared["url"], declared["variants"][0]["path"], declared["variants"][0]["version"]) == (url, "", "1")
    service = pod.service
    assert service
    assert service["metadata"]["annotations"][proof.BEFORE] == ""
    assert proof.is_proved(service)

    # Once more the same: nothing is started anew.
    pods = pod.pods
    assert pod.deploy("models:/penguins/1").code == 0
    assert pod.pods == pods

    # A new version takes its place when it is proved, and not before the old one stops answering.
    second = pod.deploy("penguins@champion")
    assert (second.code, second.parameters["url"], pod.version) == (0, url, "2")
    assert len(pod.pods) == 1
    assert pod.pods != pods
    kept = pod.service
    assert kept
    assert _version(json.loads(kept["metadata"]["annotations"][proof.BEFORE])) == "1"
    assert [each["manager"] for each in kept["metadata"]["managedFields"] if "proved" in each["manager"]] == [
        proof.manager(kept)
    ]

    # One whose answers make no sense does not stay: what was there is put back as it was.
    bad = pod.deploy(f"models:/penguins/{BAD}")
    assert bad.code == 3
    assert bad.stderr.strip().splitlines()[0] == (
        "error: not deployed to endpoint 'penguins': the endpoint predicts None, which is not a finite number; "
        "penguins version 2 is served as before"
    )
    restored = pod.service
    assert restored
    assert restored["spec"] == kept["spec"]
    assert restored["metadata"]["annotations"] == kept["metadata"]["annotations"]
    assert proof.is_proved(restored)
    assert pod.answer(url) == {"predictions": ["Adelie"]}


class Clients:
    """Requests to every replica that is ready, as a gateway would send them; and what was seen of the endpoint."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        self.seen: set[tuple[str, int]] = set()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Clients:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._ending.wait(0.05):
            if service := self.pod.service:
                self.seen.add((_version(service), canary.share(service)))
            for port in self.pod.controller.ports("penguins"):
                with contextlib.suppress(OSError):  # One that has just ended.
                    self.pod.answer(f"http://127.0.0.1:{port}/v1/models/penguins")


def by_canary(bake: str = "3s") -> str:
    alarms = "[{metric: error_rate, above: 10%}, {metric: p99, above: 20s}]"
    return ENDPOINT.read_text() + f"rollout: {{strategy: canary, size: 20, bake: {bake}, alarms: {alarms}}}\n"


def test_a_new_version_is_a_canary_first_and_what_was_there_is_not_touched(pod: Pod) -> None:
    first = pod.deploy("models:/penguins/1", by_canary())
    assert (first.code, first.stderr) == (0, "")
    assert "no canary: nothing was served before" in first.stdout
    before = pod.pods
    with Clients(pod) as clients:
        second = pod.deploy("models:/penguins/2", by_canary())
        assert (second.code, second.stderr) == (0, "")
    assert clients.seen >= {("1", 0), ("1", 20), ("2", 0)}
    for said in ("a canary with 0 % of the requests", "20 % kept its bounds: error_rate", "100 % kept its bounds"):
        assert said in second.stdout
    rollout = second.metadata["deployed"]["rollout"]
    assert [share["percent"] for share in rollout["shares"]] == [20, 100]
    service = pod.service
    assert service
    assert "canary" not in service["spec"]
    assert proof.is_proved(service)
    _until(lambda: len(pod.pods) == 1 and pod.pods != before)

    # What cannot answer its example is not shown to anybody; what is served never noticed.
    before = pod.pods
    bad = pod.deploy(f"models:/penguins/{BAD}", by_canary())
    assert bad.code == 3
    assert "the endpoint predicts None" in bad.stderr
    assert bad.stderr.splitlines()[0].endswith("penguins version 2 is served as before")
    assert "20 %" not in bad.stdout
    _until(lambda: pod.pods == before)

    # Nobody asks it anything: what is not measured is not well.
    alone = pod.deploy("models:/penguins/1", by_canary())
    assert alone.code == 3
    assert "at 20 % of the traffic" in alone.stderr
    assert "penguins version 2 is served as before" in alone.stderr
    _until(lambda: pod.pods == before)

    # Killed meanwhile: the canary stays, as nobody is left to take it away; the next deployment does.
    killed = pod.start("models:/penguins/1", by_canary("10m"))
    _until(lambda: pod.service and canary.share(pod.service) == 20)
    killed.kill()
    killed.wait()
    assert pod.version == "2"
    again = pod.deploy("models:/penguins/2")
    assert (again.code, again.stderr) == (0, "")
    _until(lambda: pod.pods == before)
    service = pod.service
    assert service
    assert "canary" not in service["spec"]


def test_a_first_deployment_that_fails_leaves_nothing(pod: Pod) -> None:
    pod.controller.faults["penguins"] = "image"
    done = pod.deploy("models:/penguins/1", ORC_DEPLOY_SECONDS="12")
    assert done.code == 3
    assert "cannot be pulled" in done.stderr
    assert done.stderr.splitlines()[0].endswith("nothing is served under that name")
    assert pod.service is None
    _until(lambda: not pod.pods, 20)
    # A quota that leaves no room: KServe repeats what its Deployment was told.
    pod.controller.faults["penguins"] = "quota"
    done = pod.deploy("models:/penguins/1", ORC_DEPLOY_SECONDS="4")
    assert "exceeded quota: small" in done.stderr
    assert pod.service is None


def test_a_server_that_cannot_start_is_told_with_its_last_words(pod: Pod) -> None:
    path = f"/api/v1/namespaces/{pod.namespace}/configmaps/orchestrator"
    pod.api.merge(path, {"data": {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}"}})
    runtimes = f"{SERVING}/v1alpha1/namespaces/{pod.namespace}/servingruntimes/{runtime.NAME}"
    container = pod.api.get(runtimes)["spec"]["containers"][0]
    impatient = {**container, "args": [*container["args"], "--patience", "0"]}
    pod.api.merge(runtimes, {"spec": {"containers": [impatient]}})
    # Applied by a person, one goes on crashing; the next deployment is judged by its own replicas.
    orc(pod, "apply", str(pod.file()), "--no-wait")
    _until(lambda: pod.service and pod.service["status"]["modelStatus"]["transitionStatus"] == "BlockedByFailedLoad")
    pod.api.merge(path, {"data": {"MLFLOW_TRACKING_URI": pod.tracking}})
    mended = pod.deploy("models:/penguins/1")
    assert (mended.code, pod.version) == (0, "1"), mended.stderr
    orc(pod, "delete", str(pod.file()))
    pod.api.merge(path, {"data": {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}"}})
    done = pod.deploy("models:/penguins/1", ORC_DEPLOY_SECONDS="60")
    assert done.code == 3
    assert "ends each time it is started" in done.stderr
    assert "model registry: http://127.0.0.1:" in done.stderr
    assert "the server does not answer" in done.stderr
    assert pod.service is None


def test_what_must_not_be_deployed_touches_nothing(pod: Pod) -> None:
    pending = pod.deploy("models:/penguins/3")
    assert (pending.code, pod.service) == (1, None)
    assert "models:/penguins/3 is pending, and only an approved version is deployed" in pending.stderr
    long = ENDPOINT.read_text().replace("name: penguins\n", f"name: {'p' * 49}\n")
    refused = pod.deploy("models:/penguins/1", long)
    assert refused.code == 2
    assert "endpoint.yaml:5:9: the name" in refused.stderr
    runtimes = f"{SERVING}/v1alpha1/namespaces/{pod.namespace}/servingruntimes"
    pod.api.delete(f"{runtimes}/{runtime.NAME}")
    if pod.api.found(f"{SERVING}/v1alpha1/clusterservingruntimes/{runtime.NAME}") is None:
        without = pod.deploy("models:/penguins/1")
        assert "there is no ClusterServingRuntime 'orchestrator-server': is our Helm chart installed?" in without.stderr
        assert pod.service is None


def test_one_that_was_made_by_somebody_else_is_left_alone(pod: Pod) -> None:
    path = f"{SERVING}/v1beta1/namespaces/{pod.namespace}/inferenceservices"
    model = {"modelFormat": {"name": "sklearn"}, "runtime": "somebody-elses"}
    other = {**_object(objects.API, "InferenceService", "penguins"), "spec": {"predictor": {"model": model}}}
    made = pod.api.create(path, other)
    done = pod.deploy("models:/penguins/1")
    assert done.code == 1
    assert f"there is an InferenceService 'penguins' in {pod.namespace} that was not made here" in done.stderr
    service = pod.service
    assert service
    assert service["spec"] == made["spec"]


def test_killed_in_the_middle_the_next_one_knows_what_had_proved_itself(pod: Pod) -> None:
    assert pod.deploy("models:/penguins/1").code == 0
    pod.controller.faults["penguins"] = "silent"
    killed = pod.start("models:/penguins/2")
    _until(lambda: pod.version == "2" and len(pod.pods) == 2)
    killed.kill()
    killed.wait()
    service = pod.service
    assert service
    assert not proof.is_proved(service)
    # Nobody has put anything back; the replicas of version 1 go on answering.
    assert pod.answer(f"{service['status']['address']['url']}/v1/models/penguins") == {"predictions": ["Adelie"]}
    # The next deployment fails too, and puts back what had answered, not what was killed.
    del pod.controller.faults["penguins"]
    bad = pod.deploy(f"models:/penguins/{BAD}")
    assert "penguins version 1 is served as before" in bad.stderr
    assert pod.version == "1"
    # Cancelled, not killed: it puts that back itself, at once.
    pod.controller.faults["penguins"] = "silent"
    cancelled = pod.start("models:/penguins/2")
    _until(lambda: pod.version == "2")
    cancelled.send_signal(signal.SIGTERM)
    said, _ = cancelled.communicate(timeout=60)
    assert cancelled.returncode == 128 + signal.SIGTERM
    assert "penguins version 1 is served as before" in said
    assert pod.version == "1"


def test_another_deployment_that_comes_first_is_left_alone(pod: Pod) -> None:
    pod.controller.faults["penguins"] = "silent"
    slow = pod.start("models:/penguins/1")
    _until(lambda: pod.version == "1" and pod.pods)
    del pod.controller.faults["penguins"]
    assert pod.deploy("models:/penguins/2").code == 0
    _, complaint = slow.communicate(timeout=120)
    assert slow.returncode == 3
    assert "somebody else changed it meanwhile, and it is left as it is" in complaint
    assert pod.version == "2"


def test_two_endpoints_at_once_and_nothing_outside_its_own_namespace(new_pod: Callable[[], Pod]) -> None:
    one, other = new_pod(), new_pod()
    processes = [one.start("models:/penguins/1"), other.start("models:/penguins/2")]
    for process in processes:
        out, complaint = process.communicate(timeout=120)
        assert process.returncode == 0, out + complaint
    assert (one.version, other.version) == ("1", "2")
    # The account of one, in the other's namespace.
    (one.folder / "token" / "namespace").write_text(other.namespace)
    strayed = one.deploy("models:/penguins/1")
    assert strayed.code == 5
    assert "orchestrator-deployer" in strayed.stderr
    assert other.version == "2"


def orc(pod: Pod, *arguments: str) -> str:
    command = [sys.executable, "-m", "orchestrator", *arguments, "--namespace", pod.namespace]
    environment = {**os.environ, "ORC_STATE": str(pod.folder / "state"), "ORC_TRACKING_URI": str(pod.tracking)}
    return subprocess.check_output(command, text=True, env=environment, cwd=pod.folder)


def test_applied_by_a_person_it_is_put_back_as_well_and_deleted_without_a_trace(pod: Pod) -> None:
    text = ENDPOINT.read_text().replace("scaling: {min: 1, max: 3}", "scaling: {min: 2, max: 2}")
    file = str(pod.file(text))
    # The champion, with what protects its replicas; told when both of them answer.
    applied = orc(pod, "apply", file)
    assert pod.version == "2"
    assert "created" in applied
    assert len(pod.pods) == 2
    assert "unchanged" in orc(pod, "apply", file)
    before = pod.service
    assert before
    pods = pod.pods
    pod.controller.faults["penguins"] = "image"
    bad = pod.deploy("models:/penguins/1", text, ORC_DEPLOY_SECONDS="12")
    assert "penguins version 2 is served as before" in bad.stderr
    _until(lambda: pod.pods == pods)
    after = pod.service
    assert after
    assert (after["spec"], proof.BEFORE in after["metadata"]["annotations"]) == (before["spec"], False)
    orc(pod, "delete", file)
    left = [
        each["metadata"]["name"]
        for path in ("policy/v1", "networking.k8s.io/v1", "serving.kserve.io/v1beta1")
        for kind in ("poddisruptionbudgets", "networkpolicies", "inferenceservices")
        for each in (pod.api.found(f"/apis/{path}/namespaces/{pod.namespace}/{kind}") or {}).get("items", [])
    ]
    assert left == []
    _until(lambda: not pod.pods, 20)


ALLOWED = {("serving.kserve.io", "inferenceservices"): ("get", "list", "watch", "create", "patch", "delete")}
FORBIDDEN = [
    ("", "pods", "create"),
    ("", "pods", "delete"),
    ("", "pods/exec", "create"),
    ("", "secrets", "get"),
    ("", "configmaps", "get"),
    ("apps", "deployments", "patch"),
    ("serving.kserve.io", "servingruntimes", "patch"),
    ("serving.kserve.io", "inferenceservices/status", "patch"),
    ("networking.k8s.io", "networkpolicies", "create"),
    ("rbac.authorization.k8s.io", "rolebindings", "create"),
]


def test_the_account_may_do_what_it_needs_and_no_more(api: Api, definitions: None, cluster_namespace: str) -> None:
    _install(api, cluster_namespace, "http://nowhere")
    user = f"system:serviceaccount:{cluster_namespace}:orchestrator-deployer"

    def may(group: str, resource: str, verb: str, namespace: str) -> bool:
        kind, _, below = resource.partition("/")
        asked = {"group": group, "resource": kind, "subresource": below, "verb": verb, "namespace": namespace}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        review |= {"spec": {"user": user, "resourceAttributes": asked}}  # type: ignore[dict-item]
        answer = api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])

    # What was just granted, the server that judges hears of a moment later.
    _until(lambda: may("serving.kserve.io", "inferenceservices", "delete", cluster_namespace), 30)
    for (group, resource), verbs in ALLOWED.items():
        for verb in verbs:
            assert may(group, resource, verb, cluster_namespace), (resource, verb)
            assert not may(group, resource, verb, "default"), (resource, verb)
    for group, resource, verb in FORBIDDEN:
        assert not may(group, resource, verb, cluster_namespace), (resource, verb)
