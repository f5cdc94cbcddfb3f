"""The model server of this machine, from outside: start it, declare endpoints to it, ask it, stop it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib import error as url_errors

import orchestrator
from orchestrator.errors import BackendError, NotFoundError, OrchestratorError
from orchestrator.serving import declarations, example, place, reach, residence
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.place import Server
from orchestrator.serving.queue import client

START_SECONDS = 30.0
READY_SECONDS = 60.0
# Beyond the time that the last answers may take.
STOP_SECONDS = 15.0
ANSWER_SECONDS = 60.0
_SHOWN = 10_000
# A runner ends what carries its marks when a task is over; the server outlives the task that started it.
# So are a task's temporary folder and the registry it was told of: neither is the server's.
_MARKS = ("ORC_RUN", "ORC_TASK", "ORC_PROCESS", "ORC_PIPELINE", "TMPDIR", "MLFLOW_")


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """An endpoint as a user sees it. `reason` says what keeps its (latest) declaration from being served."""

    name: str
    url: str
    ready: bool
    model: str
    version: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A real request to an endpoint, what came back, and the command that repeats it."""

    request: Mapping[str, Any]
    response: Mapping[str, Any]
    curl: str


def find(state: Path) -> Server | None:
    """The running server of a state folder, or None."""
    return reach.remember(place.find(state.absolute()))


def ensure(state: Path) -> Server:
    """The running server of a state folder; one is started in the background when there is none."""
    state = state.absolute()
    with declarations.locked(state / "server.start.lock"):
        deadline = time.monotonic() + START_SECONDS
        process: subprocess.Popen[bytes] | None = None
        while True:
            server = find(state)
            if server is not None and _is_alive(server):
                if process is not None:
                    process.returncode = 0  # It lives on without us: nobody is to wait for it.
                return server
            if server is None and process is None and place.wait_until_free(state, 0.5):
                process = _start(state)
            if process is not None and process.poll() is not None:
                raise BackendError("model server", f"did not start: {_last_words(state)}", hint=f"see {_log(state)}")
            if time.monotonic() > deadline:
                raise BackendError(
                    "model server", f"did not answer within {START_SECONDS:g} s", hint=f"see {_log(state)}"
                )
            time.sleep(0.02)


def stop(state: Path) -> bool:
    """Stop the server of a state folder; requests under way are answered first. False when none runs."""
    state = state.absolute()
    server = find(state)
    if server is None:
        return False
    os.kill(server.pid, signal.SIGTERM)
    seconds = declarations.longest_answer(declarations.readable(state)) + STOP_SECONDS
    if not place.wait_until_free(state, seconds):
        raise BackendError("model server", f"process {server.pid} did not end within {seconds:g} s")
    return True


def declare(state: Path, declaration: Declaration) -> None:
    """Declare an endpoint, in place of one of that name; a running server takes it up within half a second."""
    declarations.write(state.absolute(), declaration)


def remove(state: Path, name: str) -> None:
    """Stop an endpoint. Raises NotFoundError when there is none of that name."""
    state = state.absolute()
    known = declarations.names(state)
    if not declarations.remove(state, name):
        raise NotFoundError("endpoint", name, known=known)


def endpoints(state: Path) -> list[EndpointStatus]:
    """Every declared endpoint and whether it is served."""
    state = state.absolute()
    server = find(state)
    answered = served(server.url) if server else {}
    found: list[EndpointStatus] = []
    for name in declarations.names(state):
        url = address(server, name) if server else ""
        about = answered.get(name)
        if about is not None and about["variants"]:
            main = max(about["variants"], key=lambda variant: variant["weight"])
            note = about["reason"] or residence.ABSENT.get(about.get("state"), "")
            answers = about.get("state") != "unloaded"
            found.append(EndpointStatus(name, url, answers, main["model"], main["version"], note))
            continue
        reason = about["reason"] if about else "it is being loaded" if server else "the server is not running"
        found.append(EndpointStatus(name, url, False, *_declared(state, name), reason))
    return found


def served(url: str) -> dict[str, Any]:
    """What the server at `url` says of its endpoints, by name. Raises BackendError."""
    return {about["name"]: about for about in _ask(f"{url}/endpoints")["endpoints"]}


def metrics(url: str) -> str:
    """What the server at `url` counts, in Prometheus' text format. Raises BackendError."""
    return _fetch(f"{url}/metrics", None, {"accept": "text/plain"}, ANSWER_SECONDS).decode(errors="replace")


def wait_ready(url: str, declaration: Declaration, timeout: float = READY_SECONDS) -> None:
    """Wait until the server at `url` serves exactly this declaration. Raises BackendError when it cannot or is late."""
    name, wanted = declaration.name, declarations.fingerprint(declaration)
    deadline = time.monotonic() + timeout
    while True:
        about = served(url).get(name)
        # An earlier declaration may be served still, or have failed: neither says anything about this one.
        if about is not None and about["attempted"] == wanted:
            if about["reason"]:
                raise BackendError("model server", f"endpoint {name!r} could not be loaded: {about['reason']}")
            if about["ready"]:
                return
        if time.monotonic() > deadline:
            raise BackendError("model server", f"endpoint {name!r} was not ready within {timeout:g} s")
        time.sleep(0.05)


def address(server: Server, name: str) -> str:
    """The URL of an endpoint: asked, it says whether the endpoint is ready; with `:predict` appended, it predicts."""
    return f"{server.url}/v1/models/{name}"


def send_example(declaration: Declaration, url: str, *, variant: str = "", through_queue: bool = True) -> Answer:
    """Send the endpoint's example, of rows the first, to the server at `url`, as a real request; to `variant` if one is
    named. An endpoint that queues its requests answers where its file says, unless that cannot be read from here.
    Raises BackendError when it is not answered."""
    sent = example.sample(declaration.example)
    if sent is None:
        raise OrchestratorError(f"endpoint {declaration.name!r} has no example to send", hint="train the model again")
    curl = example.command(url, declaration.name, sent, options=reach.curl(url))
    headers = {"accept": "*/*", "content-type": sent.content_type, **({"x-variant": variant} if variant else {})}
    if declaration.spec.asynchronous is not None and through_queue:
        fetch = lambda path, body, said: _fetch(url + path, body, said, ANSWER_SECONDS)  # noqa: E731
        answered = client.answer(fetch, declaration.name, sent.body, headers, declaration.spec.asynchronous)
        curl = curl.replace(example.path(declaration.name), client.path(declaration.name))
    else:
        answered = _fetch(url + example.path(declaration.name), sent.body, headers, ANSWER_SECONDS)
    return Answer(sent.shown, _shown(answered), curl)


def _shown(answered: bytes) -> Mapping[str, Any]:
    """An answer as JSON can say it; a program of its own may give whatever it likes."""
    try:
        document = json.loads(answered)
    except ValueError:
        return {"body": answered.decode(errors="replace") if len(answered) <= _SHOWN else f"{len(answered):,} bytes"}
    return document if isinstance(document, dict) else {"body": document}


def _start(state: Path) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_MARKS)}
    # The server's working folder is /, so what made this process find the package must be said as full paths.
    ours = str(Path(orchestrator.__file__).parent.parent)
    search = [str(Path(part).absolute()) for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part]
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*search, ours]))
    command = [sys.executable, "-m", "orchestrator.serving", "--state", str(state), "--detached"]
    with _log(state).open("ab") as log:
        return subprocess.Popen(
            command,
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _is_alive(server: Server) -> bool:
    try:
        return bool(_ask(server.url, timeout=2).get("status") == "alive")
    except BackendError:
        return False


def _ask(
    url: str, body: bytes | None = None, *, headers: Mapping[str, str] | None = None, timeout: float = ANSWER_SECONDS
) -> Any:
    said = {"accept": "application/json", "content-type": "application/json", **(headers or {})}
    try:
        return json.loads(_fetch(url, body, said, timeout))
    except ValueError as error:
        raise BackendError("model server", f"{url} does not answer: {error}") from error


def _fetch(url: str, body: bytes | None, headers: Mapping[str, str], timeout: float) -> bytes:
    opener, message = reach.opener(url), reach.request(url, body, dict(headers))
    try:
        with opener.open(message, timeout=timeout) as response:
            found: bytes = response.read()
            return found
    except url_errors.HTTPError as error:
        with error:
            text = error.read(10_000).decode(errors="replace")
        raise BackendError("model server", f"answered {error.code}: {_told(text)}") from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise BackendError("model server", f"{url} does not answer: {reason}") from error


def _told(body: str) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body


def _declared(state: Path, name: str) -> tuple[str, str]:
    try:
        declaration = declarations.read(state, name)
    except OrchestratorError:
        return "", ""
    return (declaration.main.model, declaration.main.version) if declaration else ("", "")


def _log(state: Path) -> Path:
    return state / "server.log"


def _last_words(state: Path) -> str:
    lines = _log(state).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else "it said nothing"
