"""Requests to a server that is away, busy, cut off in the middle, or no API server at all: a real one, of sockets."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest
import urllib3

from orchestrator.cluster import api as apis
from orchestrator.cluster.api import Answer, Api
from orchestrator.errors import BackendError
from tests.apply.conftest import Reply, Serve, reply

GOOD = reply(200, {"kind": "ConfigMap"})


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(None, id="closed at once"),
        pytest.param(reply(200, {"kind": "ConfigMap"}, cut=5), id="half a body"),
        pytest.param(reply(503, {"kind": "Status", "message": "starting"}), id="starting"),
        pytest.param(reply(429, {"kind": "Status"}, headers="Retry-After: 0\r\n"), id="too many"),
        pytest.param(reply(500, {"kind": "Status", "message": "etcdserver: leader changed"}), id="etcd"),
        pytest.param(reply(502, b"<html>Bad Gateway</html>"), id="a proxy's page"),
    ],
)
def test_a_request_is_repeated_until_it_is_answered(serve: Serve, fault: Reply) -> None:
    api, server = serve(fault, fault, GOOD)
    assert api.request("PATCH", "/x", body={"a": 1}) == Answer(200, {"kind": "ConfigMap"})
    assert server.asked == ["PATCH /x"] * 3


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 422])
def test_what_is_refused_is_asked_once(serve: Serve, code: int) -> None:
    api, server = serve(reply(code, {"kind": "Status", "code": code}))
    assert api.request("GET", "/x").code == code
    assert len(server.asked) == 1


def test_an_unknown_field_is_no_fault_of_the_servers(serve: Serve) -> None:
    text = "failed to create typed patch object (d/w; apps/v1, Kind=Deployment): .spec.x: field not declared in schema"
    api, server = serve(reply(500, {"kind": "Status", "message": text, "code": 500}))
    assert api.request("PATCH", "/x", body={}).code == 500
    assert len(server.asked) == 1


def test_the_server_says_how_long_to_stay_away(serve: Serve) -> None:
    import time

    api, _ = serve(reply(429, {"kind": "Status"}, headers="Retry-After: 1\r\n"), GOOD)
    started = time.monotonic()
    assert api.request("GET", "/x").is_good
    assert time.monotonic() - started > 0.7


def test_a_server_that_never_answered_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    api = Api(f"http://127.0.0.1:{port}", "context test", urllib3.PoolManager(), lambda: None)
    with pytest.raises(BackendError) as caught:
        api.request("GET", "/x")
    assert str(caught.value) == (
        f"Kubernetes: the API server http://127.0.0.1:{port} (context test) does not answer: connection refused\n"
        "  hint: is the cluster running? kubectl cluster-info"
    )


def test_a_server_that_went_away_is_waited_for_longer(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apis, "PATIENCE", 1.5)
    api, server = serve(GOOD, None)
    api.request("GET", "/x")
    with pytest.raises(BackendError, match=r"went away in the middle and did not come back within 2 s"):
        api.request("GET", "/y")
    assert server.asked.count("GET /y") > 2


def test_something_else_than_an_api_server_is_told(serve: Serve) -> None:
    api, _ = serve(reply(200, b"<html><title>Welcome to nginx</title></html>"))
    with pytest.raises(BackendError, match=r"does not speak the API of Kubernetes; it answers: .*Welcome to nginx"):
        api.request("GET", "/x")


def test_a_host_that_is_not_known_is_told() -> None:
    api = Api("http://no-such-host.invalid:6443", "context test", urllib3.PoolManager(), lambda: None)
    with pytest.raises(BackendError, match="is not known: no such host name"):
        api.request("GET", "/x")


def test_https_where_plain_http_is_spoken_is_told(serve: Serve) -> None:
    api, _ = serve(GOOD)
    api.host = api.host.replace("http://", "https://")
    with pytest.raises(BackendError, match="does not agree on TLS"):
        api.request("GET", "/x")


def test_a_token_is_in_no_error(serve: Serve) -> None:
    api, _ = serve(None)
    api.authorization = lambda: "Bearer very-secret"
    with pytest.raises(BackendError) as caught:
        api.request("GET", "/x")
    shown = repr(caught.value) + str(caught.value) + repr(caught.value.__cause__)
    assert "very-secret" not in shown
