"""Deploy a model version to an endpoint of this machine's model server."""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from components.deploy import plan
from components.deploy.deploy import Deployed, deploy
from orchestrator import program, registry, source
from orchestrator.errors import OrchestratorError
from orchestrator.serving import declarations, endpoint


def main(task: program.Task) -> None:
    """Plan, put into service, prove, write down."""
    # A task that is cancelled still puts back what was served before.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    file = task.path("endpoint")
    # A runner keeps the file under a name of its own, which would tell the reader of an error nothing.
    spec = endpoint.parse(source.read(file, name=file.name if file.suffix in (".yaml", ".yml") else "endpoint"))
    state = _state()
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{state / 'mlflow.db'}"
    versions = registry.open(uri, state=state)
    run = os.environ.get("ORC_RUN", "")
    declaration = plan.plan(task.value("version") or "", spec, versions.version, run=run, at=datetime.now(UTC))
    deployed = deploy(declaration, state, say=task.log)
    _write(task, deployed)


def _write(task: program.Task, deployed: Deployed) -> None:
    declaration, main_variant = deployed.declaration, deployed.declaration.main
    task.output("deployed").write_text(declarations.dump(declaration), encoding="utf-8")
    task.set("url", declaration.url)
    about = {"name": declaration.name, "url": declaration.url}
    task.metadata("deployed", about | {"model": main_variant.model, "version": main_variant.version})
    for variant in declaration.variants:
        task.log(f"{declaration.name}: {variant.model} version {variant.version} as {variant.name!r}")
    task.log(f"asked:    {json.dumps(deployed.answer.request, ensure_ascii=False)}")
    task.log(f"answered: {json.dumps(deployed.answer.response, ensure_ascii=False)}")
    task.log(f"again:    {deployed.answer.curl}")


def _state() -> Path:
    state = os.environ.get("ORC_STATE", "")
    if not state:
        raise OrchestratorError(
            "there is no state folder to deploy to: ORC_STATE is not set",
            hint="`orc run` sets it on this machine; deploying to KServe comes from the cluster's runner",
        )
    return Path(state).absolute()


if __name__ == "__main__":
    program.run(__file__, main)
