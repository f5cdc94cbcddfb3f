"""`python -m orchestrator.deployment.served`: the model server in a pod. It fetches what it is told, and serves it.

$ORC_DECLARATION says what, $MLFLOW_TRACKING_URI where the models are. When all are there this program becomes the model
server (`python -m orchestrator.serving`) in the same process: the registry's client is a memory of 100 MB that a server
has no use for, and its token one that a server should not have.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from orchestrator import registry
from orchestrator.deployment import forms
from orchestrator.errors import BackendError, OrchestratorError
from orchestrator.registry import Approval, ModelVersion
from orchestrator.serving import declarations
from orchestrator.serving.declarations import Declaration, Variant
from orchestrator.serving.kserve import payload

PATIENCE_SECONDS = 180.0
"""For how long a registry that does not answer is asked again."""
_LONGEST_PAUSE = 15.0
_REGISTRY = "MLFLOW_"

Find = Callable[[str], ModelVersion]


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; the exit code of what could not be served."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.deployment.served", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on; in a pod 0.0.0.0")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--patience", type=float, default=PATIENCE_SECONDS, help="seconds to wait for the registry")
    given = parser.parse_args(arguments)
    # The first process of a container is not ended by a signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        state = prepare(os.environ, patience=given.patience)
    except OrchestratorError as error:
        # One line: it is the last one, and all of the pod's status that says why.
        hint = f" ({error.hint})" if error.hint else ""
        print(f"error: {error.message}{hint}", file=sys.stderr, flush=True)
        return error.exit_code
    return _become(state, given.host, given.port)


def prepare(environment: Mapping[str, str], *, patience: float) -> Path:
    """The state folder of a server that serves what the environment says, with every model in it."""
    text, uri = environment.get(payload.VARIABLE, ""), environment.get("MLFLOW_TRACKING_URI", "")
    for name, value in ((payload.VARIABLE, text), ("MLFLOW_TRACKING_URI", uri)):
        if not value:
            hint = (
                "an InferenceService of `orc apply` or of the deploy component sets it, its runtime says the registry"
            )
            raise OrchestratorError(f"there is nothing to serve: {name} is not set", hint=hint)
    declaration = payload.load(text)
    state = Path(tempfile.gettempdir()) / "orchestrator"
    # Asked again here, with words, rather than by MLflow in silence.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    _say(f"endpoint {declaration.name!r}: fetching {_listed(declaration)}")
    declarations.write(state, fetched(declaration, registry.open(uri, state=state).version, patience))
    return state


def fetched(declaration: Declaration, find: Find, patience: float) -> Declaration:
    """The declaration with the folder of every variant, fetched and still approved. Raises OrchestratorError."""
    deadline = time.monotonic() + patience
    pause = 1.0
    while True:
        try:
            variants = tuple(_fetched(variant, find) for variant in declaration.variants)
        except BackendError as error:
            if time.monotonic() + pause > deadline:
                raise
            _say(f"{error.message}; asking again in {pause:g} s")
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            return declaration.model_copy(update={"variants": variants})


def _fetched(variant: Variant, find: Find) -> Variant:
    version = find(f"models:/{variant.model}/{variant.version}")
    if version.approval is not Approval.APPROVED:
        hint = "approve it, or deploy another version"
        raise OrchestratorError(
            f"{version.uri} is {version.approval}, and only an approved version is served", hint=hint
        )
    folder, digest = forms.find(version, variant.format)
    if digest != variant.digest:
        what = (
            f"{version.uri} has digest"
            if variant.format == "native"
            else f"the {variant.format} form of {version.uri} has digest"
        )
        message = f"{what} {digest} in the registry, and {variant.digest} was deployed"
        raise OrchestratorError(message, hint="is this the registry it was deployed from?")
    # The bytes are compared with the digest by the server, when it loads them.
    return variant.model_copy(update={"path": str(folder)})


def _become(state: Path, host: str, port: int) -> NoReturn:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_REGISTRY)}
    command = [sys.executable, "-m", "orchestrator.serving", "--state", str(state), "--host", host, "--port", str(port)]
    sys.stderr.flush()
    # Insecure: who may reach a pod is said by the NetworkPolicy of its endpoint, and a gateway does the TLS.
    os.execve(sys.executable, [*command, "--fixed", "--insecure"], environment)  # noqa: S606  Ourselves, by full path.


def _listed(declaration: Declaration) -> str:
    return ", ".join(f"{each.model} version {each.version}" for each in declaration.variants)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
