"""A query to Prometheus, over HTTP, and whatever else may answer at that address."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from orchestrator.errors import BackendError
from orchestrator.serving.rollout import prometheus


@dataclass(slots=True)
class Monitoring:
    """An HTTP server that answers as Prometheus does, and what it was asked."""

    url: str = ""
    status: int = 200
    body: Any = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    def vector(self, *values: str) -> None:
        result = [{"metric": {"pod": str(number)}, "value": [1.5, value]} for number, value in enumerate(values)]
        self.body = {"status": "success", "data": {"resultType": "vector", "result": result}}


@pytest.fixture
def monitoring() -> Iterator[Monitoring]:
    found = Monitoring()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            found.asked.append((self.path, parse_qs(body)["query"][0]))
            answer = found.body if isinstance(found.body, bytes) else json.dumps(found.body).encode()
            self.send_response(found.status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


def test_a_query_has_one_number(monitoring: Monitoring) -> None:
    monitoring.vector("3.5")
    assert prometheus.ask(f"{monitoring.url}/prom/", 'sum(rate(x{a="b"}[1m]))') == 3.5
    assert monitoring.asked == [("/prom/api/v1/query", 'sum(rate(x{a="b"}[1m]))')]


def test_of_several_series_the_worst_counts(monitoring: Monitoring) -> None:
    monitoring.vector("3", "NaN", "7", "5")
    assert prometheus.ask(monitoring.url, "x") == 7
    assert prometheus.ask(monitoring.url, "x", largest=False) == 3


def test_no_number_is_none(monitoring: Monitoring) -> None:
    monitoring.vector()
    assert prometheus.ask(monitoring.url, "x") is None
    monitoring.vector("NaN")
    assert prometheus.ask(monitoring.url, "x") is None
    monitoring.body = {"data": {"resultType": "scalar", "result": [1, "+Inf"]}}
    assert prometheus.ask(monitoring.url, "x") == float("inf")


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (400, {"error": "1:5: parse error: unclosed left brace"}, "answered 400: 1:5: parse error"),
        (502, b"<html>", "answered 502: it does not say why"),
        (200, b"<html>", "does not answer"),
        (200, {"status": "success"}, "no Prometheus would"),
        (200, {"data": {"resultType": "matrix", "result": []}}, "no Prometheus would"),
        (200, {"data": {"resultType": "vector", "result": [{"value": [1]}]}}, "no Prometheus would"),
        (200, {"data": {"resultType": "vector", "result": [{"value": [1, "many"]}]}}, "no Prometheus would"),
        (200, [1], "no Prometheus would"),
    ],
)
def test_what_is_no_answer_is_told(monitoring: Monitoring, status: int, body: Any, told: str) -> None:
    monitoring.status, monitoring.body = status, body
    with pytest.raises(BackendError, match=told):
        prometheus.ask(monitoring.url, "x")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "prometheus:9090", "", "http://"])
def test_what_is_no_address_is_not_opened(url: str) -> None:
    with pytest.raises(BackendError, match="is not an address"):
        prometheus.ask(url, "x")


def test_a_password_in_the_address_is_not_told() -> None:
    with pytest.raises(BackendError) as caught:
        prometheus.ask("http://user:secret@127.0.0.1:9", "x")
    assert "secret" not in str(caught.value)
