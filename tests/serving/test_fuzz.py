"""Whatever is sent, the answer is a prediction or an error of the client's (4xx): never a 500, a hang or a crash."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.serving import binary
from orchestrator.serving.codec import RequestError
from orchestrator.serving.rpc import messages

QUIET = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ROW = [39.1, 18.7, 181.0, 3750.0]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
V1 = {"instances": [ROW, dict(zip("abcd", ROW, strict=True))]}
V2 = {
    "id": "1",
    "inputs": [{"name": "rows", "shape": [1, 4], "datatype": "FP64", "data": ROW, "parameters": {"x": 1}}],
    "outputs": [{"name": "species", "parameters": {"binary_data": True}}],
    "parameters": {"binary_data_output": False},
}

Send = Callable[..., None]


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def send(core: Any, measured: Any, declaration: Any, loop: asyncio.Runner) -> Send:
    made = core()
    made.declare(declaration("measured", measured, body="1Mi"))

    def send(protocol: str, body: bytes, **headers: str) -> None:
        said = {key.replace("_", "-"): value for key, value in headers.items()}
        try:
            status, message = loop.run(made.answering.answer("measured", protocol, body, said)).status, "answered"
        except RequestError as error:
            status, message = error.status, error.message
        assert message
        assert status == 200 or 400 <= status < 500, message

    return send


@st.composite
def changed(draw: Any, whole: Any) -> Any:
    """A good request with something in it replaced, dropped or added."""
    whole = copy.deepcopy(whole)
    place, key = {"": whole}, ""
    at: Any = place
    while isinstance(at[key], dict | list) and at[key] and draw(st.booleans()):
        at, key = at[key], draw(st.sampled_from(list(range(len(at[key]))) if isinstance(at[key], list) else [*at[key]]))
    match draw(st.sampled_from(["replace", "drop", "add"])):
        case "drop" if at is not place:
            del at[key]
        case "add" if isinstance(at[key], dict):
            at[key][draw(st.text(max_size=8))] = draw(JSON)
        case "add" if isinstance(at[key], list):
            at[key].append(draw(JSON))
        case _:
            at[key] = draw(JSON)
    return place[""]


@pytest.mark.parametrize("protocol", ["v1", "v2", "grpc"])
@QUIET
@given(body=st.binary(max_size=200))
def test_bytes(send: Send, protocol: str, body: bytes) -> None:
    send(protocol, body)


@pytest.mark.parametrize("protocol", ["v1", "v2"])
@QUIET
@given(value=JSON)
def test_json(send: Send, protocol: str, value: Any) -> None:
    send(protocol, json.dumps(value).encode())


@pytest.mark.parametrize(("protocol", "whole"), [("v1", V1), ("v2", V2)])
@QUIET
@given(data=st.data())
def test_almost_good_requests(send: Send, protocol: str, whole: Any, data: Any) -> None:
    send(protocol, json.dumps(data.draw(changed(whole))).encode())


@QUIET
@given(
    shape=st.lists(st.integers(-3, 5) | st.just(2**40), max_size=4),
    datatype=st.sampled_from(["FP64", "FP32", "FP16", "INT64", "UINT8", "BOOL", "BYTES", "FP128"]),
    raw=st.binary(max_size=64),
    size=st.none() | st.integers(-2, 70),
    cut=st.integers(-3, 300),
)
def test_binary_tensors(send: Send, shape: list[int], datatype: str, raw: bytes, size: int | None, cut: int) -> None:
    told = len(raw) if size is None else size
    tensor = {"name": "rows", "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": told}}
    head = json.dumps({"inputs": [tensor]}).encode()
    send("v2", head + raw, **{binary.HEADER.replace("-", "_"): str(len(head) if cut < 0 else cut)})


@QUIET
@given(
    shape=st.lists(st.integers(-3, 5) | st.just(2**40), max_size=4),
    datatype=st.sampled_from(["FP64", "FP32", "FP16", "INT8", "UINT64", "BOOL", "BYTES", "FP128", ""]),
    numbers=st.lists(st.floats(), max_size=8),
    texts=st.lists(st.binary(max_size=8), max_size=4),
    raw=st.lists(st.binary(max_size=64), max_size=2),
)
def test_messages(
    send: Send, shape: list[int], datatype: str, numbers: list[float], texts: list[bytes], raw: list[bytes]
) -> None:
    message = messages.InferRequest(model_name="measured", raw_input_contents=raw)
    tensor = message.inputs.add(name="rows", datatype=datatype, shape=shape)
    tensor.contents.fp64_contents.extend(numbers)
    tensor.contents.bytes_contents.extend(texts)
    send("grpc", message.SerializeToString())


@pytest.mark.parametrize("depth", [100, 100_000])
def test_depths(send: Send, depth: int) -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        deep = opening * depth + b"1" + closing * depth
        send("v1", b'{"instances":' + deep + b"}")
        send("v2", b'{"inputs":[{"name":"rows","shape":[1,4],"datatype":"FP64","data":' + deep + b"}]}")
