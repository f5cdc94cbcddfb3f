"""A small server that speaks version v2beta1 of the REST API of Kubeflow Pipelines, and runs what is submitted.

    python -m tests.runners_kfp.server --port 8888 --folder /tmp/kfp [--classic] [--token SECRET]

prints its URL on the first line. A fault is asked for with `POST /faults`, e.g. `{"method": "POST", "path": "/runs",
"kind": "reset", "times": 1}`: the kinds are in FAULTS; `GET /faults` tells what was asked of the server so far.
"""

from __future__ import annotations

import argparse
import contextlib
import email
import email.policy
import json
import re
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.runners_kfp.stock import CODES, Refused, Stock, matching

FAULTS = (
    "reset",
    "reset-after",
    "half",
    "slow",
    "slow-before",
    "500",
    "503",
    "503-after",
    "429",
    "409",
    "html",
    "401",
    "302",
)
BASE = "/apis/v2beta1"


@dataclass
class Fault:
    """Something that goes wrong, so many times, with requests whose path matches."""

    kind: str
    method: str = ""
    path: str = ""
    times: int = 1
    skip: int = 0
    """How many such requests go well before."""

    def takes(self, method: str, path: str) -> bool:
        """Whether this request is one of them."""
        if self.times <= 0 or (self.method and self.method != method) or not re.search(self.path, path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@dataclass
class State:
    """What the server has, wants and does wrong."""

    stock: Stock
    token: str = ""
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    slow: float = 2.0
    broken: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    state: State

    def do_GET(self) -> None:
        self.answer("GET")

    def do_POST(self) -> None:
        self.answer("POST")

    def do_DELETE(self) -> None:
        self.answer("DELETE")

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def answer(self, method: str) -> None:
        """Do what is asked, or what is to go wrong."""
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        if parts.path == "/faults":
            self.control(method, content)
            return
        self.state.asked.append(f"{method} {parts.path}")
        fault = next((each for each in self.state.faults if each.takes(method, parts.path)), None)
        kind = fault.kind if fault else ""
        if kind == "slow-before":
            time.sleep(self.state.slow)
        if kind in ("reset", "500", "503", "429", "409", "html", "401", "302"):
            self.go_wrong(kind)
            return
        status, body = self.done(method, parts.path, dict(parse_qsl(parts.query)), content)
        if kind == "slow":
            time.sleep(self.state.slow)
        if kind == "reset-after":
            self.go_wrong("reset")
            return
        if kind == "503-after":
            self.go_wrong("503")
            return
        self.send(status, body, half=kind == "half")

    def control(self, method: str, content: bytes) -> None:
        """Faults to come, and what was asked."""
        if method == "POST":
            self.state.faults.append(Fault(**json.loads(content)))
        if method == "DELETE":
            self.state.faults.clear()
        self.send(200, {"asked": self.state.asked, "faults": [vars(each) for each in self.state.faults]})

    def go_wrong(self, kind: str) -> None:
        if kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
        elif kind == "302":
            self.send_response(302)
            self.send_header("Location", "/dex/auth?client_id=kubeflow")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif kind == "html":
            self.send(200, "<!doctype html><title>Login</title>")
        else:
            self.send(int(kind), error(int(kind), f"injected fault {kind}"))

    def send(self, status: int, body: Any, *, half: bool = False) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        data = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if half else data)
        if half:
            self.close_connection = True

    def done(self, method: str, path: str, query: Mapping[str, str], content: bytes) -> tuple[int, Any]:
        """The answer, when nothing goes wrong."""
        if self.state.token and self.headers.get("authorization") != f"Bearer {self.state.token}":
            return 401, error(401, "Request header error: there is no user identity header.")
        upload = path.startswith(f"{BASE}/pipelines/upload")
        try:
            with self.state.stock.lock:
                if upload:
                    return 200, self.upload(path, query, content)
                body = json.loads(content) if content.strip() else {}
                return 200, self.route(method, path, query, body)
        except Refused as refused:
            if upload:
                return refused.status, {"error_message": refused.message, "error_details": refused.message}
            return refused.status, error(refused.status, refused.message)
        except Exception:  # noqa: BLE001 - A mistake of the judge's must not look like a server that may mend.
            self.state.broken.append(traceback.format_exc())
            return 418, error(418, self.state.broken[-1])

    def upload(self, path: str, query: Mapping[str, str], content: bytes) -> Any:
        """A specification as a file of a form."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + content, policy=email.policy.HTTP)
        part = next(
            each
            for each in message.iter_parts()
            if each.get_param("name", header="Content-Disposition") == "uploadfile"
        )  # type: ignore[attr-defined]
        text = part.get_payload(decode=True).decode("utf-8")
        stock = self.state.stock
        name = query.get("name") or query.get("display_name") or part.get_filename()
        if path.endswith("/upload_version"):
            return stock.create_version(query.get("pipelineid", ""), str(name), text)
        made = stock.create_pipeline({"display_name": query.get("display_name", ""), "name": name})
        stock.create_version(made["pipeline_id"], str(name), text)
        return made

    def route(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        """What the path stands for."""
        stock = self.state.stock
        if path == "/apis/v1beta1/healthz":
            return {"commit_sha": "0", "tag_name": "2.18.0" if stock.native else "2.15.0", "multi_user": False}
        if path == f"{BASE}/healthz":
            return {"multi_user": False, "pipeline_store": "database"}
        parts = path.removeprefix(f"{BASE}/").split("/")
        kind, _, last = parts[-1].partition(":")
        match method, parts[0], len(parts), last:
            case "GET", "pipelines", 1, _:
                return page("pipelines", list(stock.pipelines.values()), query)
            case "POST", "pipelines", 1, _:
                return stock.create_pipeline(body)
            case "GET", "pipelines", 2, _:
                return of(stock.pipelines, parts[1], "Pipeline")
            case "GET", "pipelines", 3, _:
                listed = [each for each in stock.versions.values() if each["pipeline_id"] == parts[1]]
                return page("pipeline_versions", listed, query)
            case "GET", "pipelines", 4, _:
                return of(stock.versions, parts[3], "PipelineVersion")
            case "GET", "experiments", 1, _:
                return page("experiments", list(stock.experiments.values()), query)
            case "POST", "experiments", 1, _:
                return stock.create_experiment(body)
            case "GET", "experiments", 2, _:
                return of(stock.experiments, parts[1], "Experiment")
            case "GET", "runs", 1, _:
                return page("runs", [stock.run(each) for each in stock.runs], query)
            case "POST", "runs", 1, _:
                return stock.create_run(body)
            case "GET", "runs", 2, "":
                return stock.run(parts[1])
            case "DELETE", "runs", 2, _:
                return stock.delete_run(parts[1])
            case "POST", "runs", 2, "terminate":
                return stock.terminate(kind)
            case "POST", "runs", 2, "retry":
                return stock.retry(kind)
            case "GET", "runs", 3, _ if parts[2] == "tasks" and stock.native:
                return page("tasks", stock.tasks(parts[1]), query)
            case "GET", "recurringruns", 1, _:
                return page("recurringRuns", list(stock.recurring.values()), query)
            case "POST", "recurringruns", 1, _:
                return stock.create_recurring(body)
            case "GET", "recurringruns", 2, _:
                return of(stock.recurring, parts[1], "Job")
            case "POST", "recurringruns", 2, "enable" | "disable":
                return stock.switch(kind, on=last == "enable")
            case "DELETE", "recurringruns", 2, _:
                return stock.delete_recurring(parts[1])
        raise Refused(404, "Not Found")


def page(key: str, listed: list[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """A list as the API gives it: nothing where there is nothing, as protobuf's JSON leaves out what is empty."""
    found, following = matching(listed, query)
    return {
        **({key: found} if found else {}),
        **({"total_size": len(listed)} if listed else {}),
        **({"next_page_token": following} if following else {}),
    }


def of(kept: Mapping[str, Any], identity: str, kind: str) -> Any:
    """One thing."""
    if identity not in kept:
        raise Refused(404, f"{kind} {identity} not found")
    return kept[identity]


def error(status: int, message: str) -> dict[str, Any]:
    """An error's body."""
    return {"error": message, "code": CODES.get(status, 2), "message": message, "details": []}


class Server(ThreadingHTTPServer):
    """The server, in a thread of its own."""

    daemon_threads = True

    def __init__(self, folder: Path, *, port: int = 0, native: bool = True, token: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.state = State(Stock(folder, native), token)
        super().__init__(("127.0.0.1", port), type("Bound", (Handler,), {"state": self.state}))

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def fail(self, kind: str, path: str = "", *, method: str = "", times: int = 1, skip: int = 0) -> None:
        """Something goes wrong from now on."""
        assert kind in FAULTS
        self.state.faults.append(Fault(kind, method, path, times, skip))

    def __enter__(self) -> Server:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.state.stock.close()
        self.server_close()


def main() -> None:
    """The server as a process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--classic", action="store_true", help="as with ML Metadata")
    parser.add_argument("--token", default="")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="kfp-"))
    server = Server(folder, port=given.port, native=not given.classic, token=given.token)
    print(server.url, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # So that what it started ends with it.
    try:
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever(0.05)
    finally:
        server.state.stock.close()


if __name__ == "__main__":
    main()
