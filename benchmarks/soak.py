"""`python -m benchmarks.soak`: a server at half of its capacity, while its weights and its models change all the time.

Weights change every second, a model is loaded anew every ten, and no request may fail. It takes ten minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import served, trained
from benchmarks.served import Request, Running
from benchmarks.serving import tensor
from orchestrator.model import folder as folders
from orchestrator.serving import declarations, weights
from orchestrator.serving.declarations import Declaration

NAME = "soak"
CLIENTS = 4


@dataclass(slots=True)
class Tally:
    """What came of all requests."""

    answers: Counter[str] = field(default_factory=Counter)
    variants: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, said: str, variant: str, seconds: float) -> None:
        with self.lock:
            self.answers[said] += 1
            self.variants[variant] += 1
            self.slowest = max(self.slowest, seconds)


def main() -> None:
    """Drive the server and print what came of it; exit code 1 when a request failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = trained.models(folder)
        state = folder / "state"
        declarations.write(state, _declaration(models))
        request = tensor(NAME, models.rows[:1], binary=False)
        port = served.free_port()
        command = [sys.executable, "-m", "orchestrator.serving", "--state", str(state), "--port", str(port)]
        with served.running(command, port, request, {}) as running:
            capacity = _capacity(running, request)
            print(f"capacity: {capacity:,.0f} requests/s by {CLIENTS} clients; {given.seconds:g} s at half of it")
            tally = _drive(running, request, state, capacity / 2, given.seconds)
    told = ", ".join(f"{said}: {count:,}" for said, count in tally.answers.most_common())
    shares = ", ".join(f"{variant or '-'}: {count:,}" for variant, count in tally.variants.most_common())
    print(f"answers: {told}\nvariants: {shares}\nslowest: {tally.slowest * 1000:.0f} ms")
    sys.exit(set(tally.answers) != {"200"})


def _declaration(models: trained.Models) -> Declaration:
    variants = [
        {"name": kind, "model": kind, "version": "1", "path": str(path), "digest": folders.digest(path)}
        for kind, path in models.folders.items()
    ]
    spec = {
        "apiVersion": "orchestrator/v1",
        "kind": "Endpoint",
        "metadata": {"name": NAME},
        "variants": [{"name": each["name"], "model": each["model"]} for each in variants],
    }
    return Declaration.model_validate_json(json.dumps({"name": NAME, "variants": variants, "spec": spec}))


def _capacity(running: Running, request: Request) -> float:
    tally, stop = Tally(), threading.Event()
    threads = [threading.Thread(target=_client, args=(running, request, 0.0, tally, stop)) for _ in range(CLIENTS)]
    for each in threads:
        each.start()
    began = time.monotonic()
    time.sleep(5)
    stop.set()
    for each in threads:
        each.join()
    return tally.answers.total() / (time.monotonic() - began)


def _drive(running: Running, request: Request, state: Path, rate: float, seconds: float) -> Tally:
    tally, stop = Tally(), threading.Event()
    pause = CLIENTS / rate
    threads = [threading.Thread(target=_client, args=(running, request, pause, tally, stop)) for _ in range(CLIENTS)]
    for each in threads:
        each.start()
    began, number = time.monotonic(), 0
    try:
        while time.monotonic() - began < seconds:
            share = random.random()
            weights.change(state, NAME, {"linear": share, "forest": 1 - share})
            if number % 10 == 0:
                _loaded_anew(running)
            number += 1
            time.sleep(1)
    finally:
        stop.set()
        for each in threads:
            each.join()
    return tally


def _loaded_anew(running: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", f"/v2/repository/models/{NAME}/load", b"{}")
        response = connection.getresponse()
        assert response.status == 200, response.read()


def _client(running: Running, request: Request, pause: float, tally: Tally, stop: threading.Event) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    with contextlib.closing(connection):
        due = time.monotonic()
        while not stop.is_set():
            due = max(due + pause, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))
            began = time.monotonic()
            try:
                connection.request("POST", request.path, request.body, dict(request.headers))
                response = connection.getresponse()
                response.read()
                tally.add(str(response.status), response.headers.get("x-variant", ""), time.monotonic() - began)
            except (OSError, http.client.HTTPException) as error:
                tally.add(type(error).__name__, "", time.monotonic() - began)
                connection.close()


if __name__ == "__main__":
    main()
