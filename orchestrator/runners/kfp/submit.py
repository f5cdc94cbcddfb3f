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
    experiment = making.made(client, look, requests.create_experiment(name, namespace), sleep=sleep).thing
    return Source(
        version.pipeline,
        version.version,
        str(experiment["experiment_id"]),
        order.arguments,
        order.service_account,
        order.pipeline_root,
    )


def submit(client: Client, name: str, order: Order, *, sleep: Callable[[float], None] = time.sleep) -> tuple[str, bool]:
    """KFP's id of the run of that name, and whether the server may yet make another (`only` undoes it).

    Raises RunError when another run has the name.
    """
    wanted = source(client, order, sleep=sleep)
    made = making.made(client, partial(runs, client, name), requests.create_run(name, wanted), sleep=sleep)
    if not made.new:
        _check(made.thing, wanted, name)
    identity = str(made.thing["run_id"])
    if made.lost:
        only(client, name, identity)
    return identity, made.lost


def runs(client: Client, name: str) -> list[making.Found]:
    """The runs of our name, oldest first."""
    found = making.named(client, requests.runs(name, client.connection.namespace), "runs", name)
    return sorted(found, key=lambda run: (str(run.get("created_at", "")), str(run.get("run_id", ""))))


def only(client: Client, name: str, keep: str) -> None:
    """Undo the other runs of our name: they are from a request whose answer was lost."""
    for other in runs(client, name):
        identity = str(other["run_id"])
        if identity == keep or other.get("description") != requests.description(name):
            continue
        if other.get("state") not in _OVER:
            client(requests.terminate(identity))
        client(requests.delete_run(identity))


def _check(run: making.Found, wanted: Source, name: str) -> None:
    """A run of that name must be the one that is wanted."""
    version = (run.get("pipeline_version_reference") or {}).get("pipeline_version_id") or wanted.version
    given = (run.get("runtime_config") or {}).get("parameters") or {}
    if version != wanted.version or given != dict(wanted.arguments):
        hint = "choose another name for this run"
        raise RunError(
            f"the server has a run {name!r} of another pipeline or with other arguments", run=name, hint=hint
        )
