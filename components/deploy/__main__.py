"""Deploy a model version to an endpoint: of this machine's model server, or, in a pod, of the cluster it is in."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.deploy import inference, plan
from components.deploy.deploy import Deployed, deploy
from orchestrator import cluster, program, registry, source
from orchestrator.cluster import Cluster
from orchestrator.errors import OrchestratorError
from orchestrator.serving import declarations, endpoint
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.endpoint import Endpoint
from orchestrator.serving.kserve import check
from orchestrator.serving.kserve.objects import Place
from orchestrator.source import Source

TOKEN = "/var/run/secrets/orchestrator/deployer"  # noqa: S105  A folder.
"""Where the token of the account that may deploy is mounted; the pod's own account serves where it is not."""


def main(task: program.Task) -> None:
    """Plan, put into service, prove, write down."""
    signal.signal(signal.SIGTERM, _cancelled)
    file = task.path("endpoint")
    # A runner keeps the file under a name of its own, which would tell the reader of an error nothing.
    document = source.read(file, name=file.name if file.suffix in (".yaml", ".yml") else "endpoint")
    spec = endpoint.parse(document)
    if state := os.environ.get("ORC_STATE", ""):
        _here(task, spec, Path(state).absolute())
    else:
        _on_cluster(task, document, spec)


def _here(task: program.Task, spec: Endpoint, state: Path) -> None:
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{state / 'mlflow.db'}"
    _write(task, deploy(_plan(task, spec, uri, state), state, say=task.log, progress=task.progress))


def _on_cluster(task: program.Task, document: Source, spec: Endpoint) -> None:
    connected = _cluster()
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        hint = "the ConfigMap `orchestrator` of our Helm chart says it; is it in this namespace?"
        raise OrchestratorError("MLFLOW_TRACKING_URI is not set: which registry is the version in?", hint=hint)
    check.check(document, spec)
    seconds = _seconds(os.environ.get("ORC_DEPLOY_SECONDS", ""))
    with tempfile.TemporaryDirectory() as folder:
        declaration = _plan(task, spec, uri, Path(folder))
        place = Place(connected.namespace)
        deployment = inference.Deployment(declaration, connected, place, task.log, seconds, task.progress)
        deployed = deployment.deploy()
    _write(task, deployed, namespace=place.namespace)
    task.log(f"from outside: kubectl -n {place.namespace} port-forward service/{declaration.name}-predictor 8080:80")


def _seconds(text: str) -> float:
    try:
        return float(text or inference.SECONDS)
    except ValueError:
        raise OrchestratorError(f"ORC_DEPLOY_SECONDS is {text!r}, not a number of seconds") from None


def _plan(task: program.Task, spec: Endpoint, uri: str, state: Path) -> Declaration:
    find = registry.open(uri, state=state).version
    return plan.plan(task.value("version") or "", spec, find, run=os.environ.get("ORC_RUN", ""), at=datetime.now(UTC))


def _cluster() -> Cluster:
    """The cluster we are in, or that KUBECONFIG names: none that a person only happens to have at hand."""
    folder = Path(os.environ.get("ORC_DEPLOYER_TOKEN") or TOKEN)
    if (folder / "token").is_file():
        return cluster.connect_with_token(folder, environment=os.environ)
    if not os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG"):
        raise OrchestratorError(
            "there is no place to deploy to: ORC_STATE is not set, and this is no pod of a cluster",
            hint="`orc run` sets ORC_STATE on this machine; KUBECONFIG names a cluster",
        )
    return cluster.connect(environment=os.environ)


def _cancelled(*_: object) -> None:
    """A task that is cancelled still puts back what was served before, and is not stopped in that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + signal.SIGTERM)


def _write(task: program.Task, deployed: Deployed, *, namespace: str = "") -> None:
    declaration, main_variant = deployed.declaration, deployed.declaration.main
    task.output("deployed").write_text(declarations.dump(declaration), encoding="utf-8")
    task.set("url", declaration.url)
    about: dict[str, Any] = {
        "name": declaration.name,
        "url": declaration.url,
        **({"namespace": namespace} if namespace else {}),
    }
    about |= {"model": main_variant.model, "version": main_variant.version}
    if watched := [dataclasses.asdict(stage) for stage in deployed.stages if stage.seconds]:
        about |= {"rollout": {"strategy": declaration.spec.rollout.strategy, "shares": watched}}
    task.metadata("deployed", about)
    for variant in declaration.variants:
        task.log(f"{declaration.name}: {variant.model} version {variant.version} as {variant.name!r}")
    task.log(f"asked:    {json.dumps(deployed.answer.request, ensure_ascii=False)}")
    task.log(f"answered: {json.dumps(deployed.answer.response, ensure_ascii=False)}")
    task.log(f"again:    {deployed.answer.curl}")


if __name__ == "__main__":
    program.run(__file__, main)
