"""What the server says over HTTP, asked of a real process."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

Ask = Callable[..., Any]


def infer(*inputs: Any, **rest: Any) -> dict[str, Any]:
    return {"inputs": list(inputs), **rest}


def tensor(name: str, datatype: str, data: Any, shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


def test_v1_records_and_rows(served: str, penguins: Any, ask: Ask) -> None:
    for instances in (penguins.examples, [list(row.values()) for row in penguins.examples]):
        reply = ask(served, "/v1/models/penguins:predict", {"instances": instances})
        assert (reply.status, reply.json) == (200, {"predictions": penguins.predictions})
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["x-variant"] == "v1"


def test_v1_regression(served: str, mass: Any, ask: Ask) -> None:
    reply = ask(served, "/v1/models/mass:predict", {"instances": mass.examples})
    assert reply.json["predictions"] == pytest.approx(mass.predictions)


def test_an_ignored_column_may_be_sent(served: str, penguins: Any, ask: Ask) -> None:
    reply = ask(served, "/v1/models/penguins:predict", {"instances": [penguins.examples[0] | {"note": "x"}]})
    assert reply.status == 200


def test_v2_by_column(served: str, penguins: Any, ask: Ask) -> None:
    inputs = [
        tensor(name, "BYTES" if isinstance(value, str) else "FP64", [row[name] for row in penguins.examples])
        for name, value in penguins.examples[0].items()
    ]
    reply = ask(served, "/v2/models/penguins/infer", infer(*inputs, id="a1"))
    assert reply.status == 200
    answer = reply.json
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("penguins", "1", "a1")
    species, probabilities = answer["outputs"]
    assert species == {"name": "species", "shape": [3], "datatype": "BYTES", "data": penguins.predictions}
    assert (probabilities["name"], probabilities["shape"], probabilities["datatype"]) == (
        "probabilities",
        [3, 3],
        "FP64",
    )
    assert sum(probabilities["data"]) == pytest.approx(3)


def test_v2_one_tensor_and_one_output(served: str, measured: Any, ask: Ask) -> None:
    flat = [value for row in measured.examples for value in row.values()]
    for sent in (flat, [list(row.values()) for row in measured.examples]):
        request = infer(tensor("x", "FP32", sent, [3, 4]), outputs=[{"name": "species"}])
        reply = ask(served, "/v2/models/measured/infer", request)
        assert [output["name"] for output in reply.json["outputs"]] == ["species"]
        assert reply.json["outputs"][0]["data"] == measured.predictions


def test_v2_binary_in_and_out(served: str, measured: Any) -> None:
    rows = np.array([list(row.values()) for row in measured.examples])
    tensor_ = {"name": "x", "datatype": "FP64", "shape": [3, 4], "parameters": {"binary_data_size": rows.nbytes}}
    text = json.dumps(infer(tensor_, parameters={"binary_data_output": True})).encode()
    request = urllib.request.Request(f"{served}/v2/models/measured/infer", text + rows.tobytes())
    request.add_header("Content-Type", "application/octet-stream")
    request.add_header("Inference-Header-Content-Length", str(len(text)))
    with urllib.request.urlopen(request) as response:
        length = int(response.headers["Inference-Header-Content-Length"])
        body = response.read()
    _, probabilities = json.loads(body[:length])["outputs"]
    found = np.frombuffer(body[-probabilities["parameters"]["binary_data_size"] :]).reshape(probabilities["shape"])
    assert found.sum(axis=1) == pytest.approx(1)
    assert measured.predictions[0].encode() in body[length:]


def test_a_version_or_a_variant_can_be_asked_for(served: str, penguins: Any, ask: Ask) -> None:
    inputs = [
        tensor(name, "BYTES" if isinstance(value, str) else "FP64", [value])
        for name, value in penguins.examples[0].items()
    ]
    reply = ask(served, "/v2/models/measured/versions/2/infer", infer(*inputs))
    assert (reply.status, reply.json["model_version"], reply.headers["x-variant"]) == (200, "2", "v2")
    request = {"instances": penguins.examples}
    assert ask(served, "/v1/models/measured:predict", request, headers={"X-Variant": "v2"}).status == 200
    assert ask(served, "/v1/models/measured:predict", request).status == 400, "weight 0 takes no traffic"


def test_json_is_taken_whatever_it_is_called(served: str, penguins: Any, ask: Ask) -> None:
    for headers in ({}, {"content-type": "application/x-www-form-urlencoded"}, {"content-type": "application/json"}):
        assert (
            ask(served, "/v1/models/penguins:predict", {"instances": penguins.examples}, headers=headers).status == 200
        )


def test_what_is_there(served: str, ask: Ask) -> None:
    assert ask(served, "/").json == {"status": "alive"}
    assert ask(served, "/v1/models").json == {"models": ["mass", "measured", "penguins"]}
    assert ask(served, "/v1/models/mass").json == {"name": "mass", "ready": True}
    assert ask(served, "/v2").json["name"] == "orchestrator"
    assert ask(served, "/v2/health/live").json == {"live": True}
    assert ask(served, "/v2/health/ready").json == {"ready": True}
    for path in ("/v2/models/measured/ready", "/v2/models/measured/versions/2/ready"):
        assert ask(served, path).json == {"name": "measured", "ready": True}
    found = ask(served, "/v2/models/measured").json
    assert found["versions"] == ["1", "2"]
    assert found["inputs"][0] == {"name": "bill_length_mm", "datatype": "FP64", "shape": [-1]}
    assert found["outputs"] == [
        {"name": "species", "datatype": "BYTES", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP64", "shape": [-1, 3]},
    ]
    assert len(ask(served, "/v2/models/measured/versions/2").json["inputs"]) == 6


PREDICT, INFER = "/v1/models/measured:predict", "/v2/models/measured/infer"
BAD = [
    ("POST", "/v1/models/nope:predict", b"{}", {}, 404, "there is no model 'nope'"),
    ("POST", "/v2/models/nope/infer", b"{}", {}, 404, "there is no model 'nope'"),
    ("GET", "/v1/models/nope", None, {}, 404, "nope"),
    ("GET", "/v2/models/nope/ready", None, {}, 404, "nope"),
    ("POST", "/v2/models/measured/versions/9/infer", b"{}", {}, 404, "no version '9'"),
    ("GET", "/v2/models/measured/versions/9", None, {}, 404, "no version '9'"),
    ("GET", "/v2/nothing", None, {}, 404, "nothing at /v2/nothing"),
    ("GET", INFER, None, {}, 405, "does not take GET"),
    ("GET", PREDICT, None, {}, 405, "does not take GET"),
    ("POST", "/metrics", b"", {}, 405, "does not take POST"),
    ("POST", PREDICT, b"", {}, 400, "not valid JSON"),
    ("POST", PREDICT, b"\x00\xff", {}, 400, "not valid JSON"),
    ("POST", PREDICT, b'{"instances": ' + b"[" * 50_000, {}, 400, "nested too deeply"),
    ("POST", PREDICT, b'{"instances": [[1, 2]]}', {}, 400, "the model takes 4: bill_length_mm"),
    ("POST", PREDICT, b'{"instances": [["a", 2, 3, 4]]}', {}, 400, "'bill_length_mm'"),
    ("POST", PREDICT, b'{"instances": [{"bill_lenght_mm": 1}]}', {}, 400, "did you mean 'bill_length_mm'"),
    (
        "POST",
        PREDICT,
        b'{"instances": [{}]}',
        {},
        400,
        "record 0 has none of the columns the model takes: bill_depth_mm",
    ),
    ("POST", PREDICT, b'{"instances": [[1,2,3,4]]}', {"x-variant": "v9"}, 400, "no variant 'v9' (known: v1, v2)"),
    ("POST", PREDICT, b"{}", {"content-encoding": "gzip"}, 415, "gzip"),
    ("POST", INFER, json.dumps(infer(tensor("x", "FP64", [1, 2], [1, 2]))).encode(), {}, 400, "[rows, 4]"),
    (
        "POST",
        INFER,
        json.dumps(infer(tensor("x", "FP64", [1, 2, 3, 4], [1, 4]), outputs=[{"name": "y"}])).encode(),
        {},
        400,
        "no output 'y'",
    ),
    (
        "POST",
        INFER,
        json.dumps(infer(tensor("x", "FP64", [], [0, *[2**31 - 1] * 3]))).encode(),
        {},
        400,
        "but for a dimension of 0",
    ),
    (
        "POST",
        INFER,
        json.dumps(infer(tensor("x", "INT8", [], [2**31 - 1, 2**31 - 1, 2**31 - 1, 0]))).encode(),
        {},
        400,
        "but for a dimension of 0",
    ),
    ("POST", "/v1/models/penguins:predict", b" " * 200_000, {}, 413, "larger than 102,400 bytes"),
]


@pytest.mark.parametrize(("method", "path", "body", "headers", "status", "told"), BAD, ids=range(len(BAD)))
def test_a_bad_request_is_told_so(
    served: str, ask: Ask, method: str, path: str, body: Any, headers: dict[str, str], status: int, told: str
) -> None:
    reply = ask(served, path, body, method=method, headers=headers)
    assert reply.status == status
    assert set(reply.json) == {"error"}
    assert told in reply.json["error"]


def test_an_endless_body_is_cut_off(served: str) -> None:
    host, port = served.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = "POST /v1/models/penguins:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        chunks = b"10000\r\n" + b" " * 65536 + b"\r\n"
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(chunks * 2000)


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        b"POST /v2/models/measured/infer HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nHost: \xff\xfe\r\nAccept: text/html\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: <script>\r\nAccept: text/html\r\nConnection: close\r\n\r\n",
    ],
)
def test_junk_on_the_wire_hurts_nobody(served: str, ask: Ask, junk: bytes) -> None:
    host, port = served.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(junk)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert b" 500 " not in answer.split(b"\r\n")[0]
    assert b"<script>/" not in answer
    assert ask(served, "/v2/health/live").status == 200


def test_one_connection_outlives_a_bad_request(served: str, penguins: Any) -> None:
    import http.client

    connection = http.client.HTTPConnection(served.removeprefix("http://"), timeout=10)
    good = json.dumps({"instances": penguins.examples}).encode()
    for body, status in ((good, 200), (b"{", 400), (good, 200)):
        connection.request("POST", "/v1/models/penguins:predict", body)
        response = connection.getresponse()
        response.read()
        assert response.status == status
    connection.close()


def test_metrics(served: str, penguins: Any, ask: Ask) -> None:
    def read() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        reply = ask(served, "/metrics")
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(reply.text)
            for sample in family.samples
        }

    def requests(code: str) -> Any:
        labels = {"model_name": "penguins", "variant": "v1", "version": "1", "protocol": "v1", "code": code}
        return ("requests_total", tuple(sorted(labels.items())))

    ask(served, "/v1/models/penguins:predict", {"instances": penguins.examples})
    before = read()
    ask(served, "/v1/models/penguins:predict", {"instances": penguins.examples})
    ask(served, "/v1/models/penguins:predict", b"{")
    after = read()
    assert after[requests("200")] == before[requests("200")] + 1
    assert after[requests("400")] == before.get(requests("400"), 0) + 1
    name = (("model_name", "penguins"),)
    for part in ("preprocess", "predict", "postprocess"):
        key = (f"request_{part}_seconds_count", name)
        assert after[key] == before[key] + 1
    assert after["request_rows_sum", name] == before["request_rows_sum", name] + 3
    assert after["model_ready", name] == 1
    assert after["requests_in_flight", name] == 0
    assert not [labels for key, labels in after if "nope" in str(labels)]


def test_the_page(served: str, ask: Ask) -> None:
    reply = ask(served, "/", headers={"Accept": "text/html,*/*", "Host": "127.0.0.1:8800"})
    assert reply.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    for text in ("penguins version 1", "Biscoe, Dream, Torgersen", "bill_length_mm", "127.0.0.1:8800", "probabilities"):
        assert text in reply.text
    assert "http://" not in reply.text.replace("http://127.0.0.1:8800", "")
