"""A run put on the server once: whoever submits the same run again finds the first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from orchestrator.errors import RunError
from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners.kfp import making, package, requests
from orchestrator.runners.kfp.client import Client
from orchestrator.runners.kfp.requests import Source

_OVER = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")


@dataclass(frozen=True, slots=True)
class Order:
    """What a run is made of."""

    pipeline: PipelineSpec
    platform: PlatformSpec
    arguments: Mapping[str, Any]
    experiment: str = ""
    service_account: str = ""
    pipeline_root: str = ""
    use_cache: bool = True


def source(client: Client, order: Order, *, sleep: Callable[[float], None] = time.sleep) -> Source:
    """What a run refers to, after it was made on the server: the pipeline's version and the experiment."""
    pipeline = order.pipeline if order.use_cache else requests.uncached(order.pipeline)
    version = package.ensure(client, pipeline, order.platform, sleep=sleep)
    name, namespace = order.experiment or pipeline.pipeline_info.name, client.connection.namespace
    look = partial(making.named, client, requests.experiments(name, namespace), "experiments", name)
    experiment, _ = making.made(client, look, requests.create_experiment(name, namespace), sleep=sleep)
    return Source(
        version.pipeline,
        version.version,
        str(experiment["experiment_id"]),
        order.arguments,
        order.service_account,
        order.pipeline_root,
    )


def submit(client: Client, name: str, order: Order, *, sleep: Callable[[float], None] = time.sleep) -> str:
    """KFP's id of the run of that name, which is there now and once. Raises RunError when another has the name."""
    wanted = source(client, order, sleep=sleep)
    look = partial(runs, client, name)
    run, new = making.made(client, look, requests.create_run(name, wanted), sleep=sleep)
    if not new:
        _check(run, wanted, name)
    elif len(found := look()) > 1:
        run = _only(client, found)
    return str(run["run_id"])


def runs(client: Client, name: str) -> list[making.Found]:
    """The runs of our name, oldest first."""
    found = making.named(client, requests.runs(name, client.connection.namespace), "runs", name)
    return sorted(found, key=lambda run: (str(run.get("created_at", "")), str(run.get("run_id", ""))))


def _only(client: Client, found: list[making.Found]) -> making.Found:
    """The oldest of several runs. The others are ours too, from a request whose answer was lost: they are undone."""
    for other in found[1:]:
        if other.get("state") not in _OVER:
            client(requests.terminate(str(other["run_id"])))
        client(requests.delete_run(str(other["run_id"])))
    return found[0]


def _check(run: making.Found, wanted: Source, name: str) -> None:
    """A run of that name must be the one that is wanted."""
    version = (run.get("pipeline_version_reference") or {}).get("pipeline_version_id") or wanted.version
    given = (run.get("runtime_config") or {}).get("parameters") or {}
    if version != wanted.version or given != dict(wanted.arguments):
        hint = "choose another name for this run"
        raise RunError(
            f"the server has a run {name!r} of another pipeline or with other arguments", run=name, hint=hint
        )
