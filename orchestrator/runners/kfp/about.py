"""What a server tells beside its API: its version, and the log of a pod, as its user interface shows them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from orchestrator.runners.kfp.client import Client, RefusedError
from orchestrator.runners.kfp.connection import Connection
from orchestrator.runners.kfp.requests import Call

# Version 2 of the API leaves it out; the user interface, which shows it, asks the old one.
_HEALTH = Call("ask for the version", "GET", "/apis/v1beta1/healthz")
_TAG = re.compile(r"v?(\d+)\.(\d+)")


def log(connection: Connection, run: str, pod: str) -> list[str]:
    """The lines a pod of a run, by KFP's id, wrote; the server may have kept them after the pod went.

    Raises BackendError.
    """
    call = Call(f"read the log of {pod}", "GET", f"/apis/v1alpha1/runs/{run}/nodes/{pod}/log")
    return Client(connection).text(call).splitlines()


def messages(client: Client, run: str) -> Mapping[str, str]:
    """What the workflow engine says of the pods of a run that did not end well, by its own name of each.

    Version 2 of the API leaves that out, too. Raises BackendError.
    """
    call = Call(f"read the messages of the run {run}", "GET", f"/apis/v1beta1/runs/{run}")
    told = client(call).get("pipeline_runtime") or {}
    try:
        workflow = json.loads(told.get("workflow_manifest") or "{}")
    except ValueError:
        return {}
    nodes = (workflow.get("status") or {}).get("nodes") or {}
    return {
        name: str(node["message"]) for name, node in nodes.items() if node.get("type") == "Pod" and node.get("message")
    }


def version(connection: Connection) -> tuple[int, int] | None:
    """The server's version, e.g. (2, 16); None where it does not say. Raises BackendError when nothing answers."""
    try:
        answer = Client(connection)(_HEALTH)
    except RefusedError:
        return None  # What it does not tell everybody it may still do for us.
    found = _TAG.match(str(answer.get("tag_name") or ""))
    return (int(found[1]), int(found[2])) if found else None
