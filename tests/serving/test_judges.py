"""The server before clients that others wrote: Triton's and KServe's, over HTTP and gRPC."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from orchestrator.serving import declarations, local, place
from tests import aside

HERE = Path(__file__).parent
ROWS = np.array([[39.1, 18.7, 181.0, 3750.0], [50.0, 15.2, 218.0, 5700.0]])
TOKEN = "a-token-of-nobody-at-all"


@dataclass(frozen=True, slots=True)
class Both:
    """A server that answers over HTTP and gRPC."""

    url: str
    rpc: str
    pid: int


def free() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def running(state: Path, *options: str) -> Iterator[Both]:
    port = free()
    command = [sys.executable, "-m", "orchestrator.serving", "--state", str(state), "--port", "0"]
    with (state / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--grpc-port", str(port), *options], stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 60
        while (found := place.find(state)) is None or "gRPC at" not in (state / "log").read_text():
            assert process.poll() is None, (state / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Both(found.url, f"127.0.0.1:{port}", process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, (state / "log").read_text()


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, penguins: Any, measured: Any, declaration: Callable[..., Any]
) -> Iterator[Both]:
    state = tmp_path_factory.mktemp("judged")
    declared = [declaration("measured", measured, body="100Ki"), declaration("penguins", penguins)]
    for each in declared:
        declarations.write(state, each)
    with running(state) as found:
        for each in declared:
            local.wait_ready(found.url, each)
        yield found


@pytest.fixture
def rpc(both: Both) -> Iterator[Any]:
    with contextlib.closing(tritonclient.grpc.InferenceServerClient(both.rpc)) as client:
        yield client


@pytest.fixture
def http(both: Both) -> Iterator[Any]:
    with contextlib.closing(tritonclient.http.InferenceServerClient(both.url.removeprefix("http://"))) as client:
        yield client


def tensor(kind: Any, name: str, values: Any, datatype: str, **how: Any) -> Any:
    made = kind.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, **how)
    return made


@pytest.mark.parametrize("binary", [False, True])
def test_tritons_client_over_http(http: Any, measured: Any, binary: bool) -> None:
    asked = tensor(tritonclient.http, "rows", ROWS, "FP64", binary_data=binary)
    outputs = [tritonclient.http.InferRequestedOutput("species", binary_data=binary)]
    answer = http.infer("measured", [asked], outputs=outputs, request_id="9")
    said = [each.decode() if isinstance(each, bytes) else each for each in answer.as_numpy("species").tolist()]
    assert said == ["Adelie", "Gentoo"]
    assert answer.get_response()["id"] == "9"
    assert http.is_server_live()
    assert http.is_server_ready()
    assert http.is_model_ready("measured")
    assert [each["name"] for each in http.get_model_metadata("measured")["inputs"]] == [
        each.name for each in measured_inputs(measured)
    ]


def measured_inputs(measured: Any) -> Any:
    from orchestrator.model import manifest

    return manifest.read(measured.path).signature.inputs


def test_tritons_client_over_grpc(rpc: Any) -> None:
    assert rpc.is_server_live()
    assert rpc.is_server_ready()
    assert rpc.is_model_ready("measured")
    assert rpc.is_model_ready("measured", "1")
    assert rpc.get_server_metadata().name == "orchestrator"
    about = rpc.get_model_metadata("penguins")
    assert [(each.name, each.datatype) for each in about.inputs][:2] == [
        ("island", "BYTES"),
        ("bill_length_mm", "FP64"),
    ]
    assert [each.name for each in about.outputs] == ["species", "probabilities"]
    answer = rpc.infer("measured", [tensor(tritonclient.grpc, "rows", ROWS, "FP64")], request_id="9")
    assert [each.decode() for each in answer.as_numpy("species")] == ["Adelie", "Gentoo"]
    assert answer.as_numpy("probabilities").shape == (2, 3)
    assert answer.get_response().id == "9"
    assert answer.get_response().model_version == "1"


def test_a_column_each_over_grpc(rpc: Any, penguins: Any) -> None:
    (record, *_) = penguins.examples
    tensors = [
        tensor(tritonclient.grpc, name, np.array([str(value).encode()], dtype=object), "BYTES")
        if isinstance(value, str)
        else tensor(tritonclient.grpc, name, np.array([[value]], dtype=np.float32), "FP32")
        for name, value in record.items()
    ]
    wanted = [tritonclient.grpc.InferRequestedOutput("species")]
    answer = rpc.infer("penguins", tensors, outputs=wanted)
    assert answer.as_numpy("species")[0].decode() == penguins.predictions[0]
    assert answer.as_numpy("probabilities") is None


@pytest.mark.parametrize(
    ("name", "version", "asked", "code", "told"),
    [
        ("nobody", "", ("rows", ROWS, "FP64"), "NOT_FOUND", "there is no model 'nobody'"),
        ("measured", "9", ("rows", ROWS, "FP64"), "NOT_FOUND", "has no version '9'"),
        ("measured", "", ("rows", ROWS[:, :3], "FP64"), "INVALID_ARGUMENT", "is not [rows, 4]"),
        ("measured", "", ("rows", ROWS * np.inf, "FP64"), "INVALID_ARGUMENT", "infinite"),
        ("measured", "", ("rows", np.array([["a"] * 4], dtype=object), "BYTES"), "INVALID_ARGUMENT", "takes a number"),
        ("measured", "", ("rows", np.zeros((9000, 4)), "FP64"), "RESOURCE_EXHAUSTED", "larger than 102,400 bytes"),
    ],
)
def test_what_a_client_does_wrong_is_told_in_grpcs_words(
    rpc: Any, name: str, version: str, asked: Any, code: str, told: str
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        rpc.infer(name, [tensor(tritonclient.grpc, *asked)], model_version=version)
    assert caught.value.status() == f"StatusCode.{code}"
    assert told in caught.value.message()


def test_lists_of_numbers_are_read_as_bytes_are(both: Both) -> None:
    import grpc

    from orchestrator.serving.rpc import messages

    request = messages.InferRequest(model_name="measured")
    request.inputs.add(name="rows", datatype="FP64", shape=[2, 4]).contents.fp64_contents.extend(ROWS.ravel())
    with grpc.insecure_channel(both.rpc) as channel:
        ask = channel.unary_unary(f"/{messages.SERVICE}/ModelInfer")
        said, call = ask.with_call(request.SerializeToString(), metadata=[("x-request-id", "abc")], timeout=30)
        assert dict(call.trailing_metadata())["x-request-id"] == "abc"
        answer = messages.InferResponse.FromString(said)
        assert list(answer.outputs[0].shape) == [2]
        request.inputs[0].contents.int_contents.append(1)
        for wrong in (request.SerializeToString(), b"\xff\xff\xff", b"\x0a\x03abc"):
            with pytest.raises(grpc.RpcError) as caught:
                ask(wrong, timeout=30)
            assert caught.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)


def test_what_no_endpoint_takes_is_refused_unread(
    tmp_path: Path, measured: Any, declaration: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    import grpc

    from orchestrator.serving.rpc import messages

    declared = declaration("measured", measured, body="100Ki")
    declarations.write(tmp_path, declared)
    with running(tmp_path) as both, grpc.insecure_channel(both.rpc) as channel:
        local.wait_ready(both.url, declared)
        infer = channel.unary_unary(f"/{messages.SERVICE}/ModelInfer")
        for size, code, told in (
            (200 * 1024, "RESOURCE_EXHAUSTED", "larger than 102,400 bytes"),
            (100 * 1024, "INVALID_ARGUMENT", "not a ModelInferRequest"),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                infer(b"\xff" * size, timeout=60)
            assert (caught.value.code().name, told in caught.value.details()) == (code, True)
        counted = ask(both.url, "/metrics").text
        for status in (400, 413):
            assert f'code="{status}",model_name="",protocol="grpc",variant="",version=""}} 1.0' in counted


def test_without_a_token_nothing_of_a_message_is_read(
    tmp_path: Path, measured: Any, declaration: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    import grpc

    from orchestrator.serving.rpc import messages

    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    declarations.write(tmp_path, declaration("measured", measured))
    never = threading.Event()

    def silent() -> Iterator[bytes]:
        """A client that says it sends something, and does not."""
        never.wait()
        yield b""

    with running(tmp_path, "--token-file", str(tmp_path / "token")) as both:
        try:
            with grpc.insecure_channel(both.rpc) as channel:
                for method in ("ModelInfer", "Nothing"):
                    with pytest.raises(grpc.RpcError) as caught:
                        channel.stream_unary(f"/{messages.SERVICE}/{method}")(silent(), timeout=60)
                    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        finally:
            never.set()
        text = ask(both.url, "/metrics", headers={"authorization": f"Bearer {TOKEN}"}).text
        assert 'code="401",model_name="",protocol="",variant="",version=""} 2.0' in text


def test_grpc_listens_where_http_does(tmp_path: Path) -> None:
    """A name may stand for several addresses; what others may reach was looked at for one of them."""
    with running(tmp_path, "--host", "localhost") as both:
        bound = urlsplit(both.url).netloc.rpartition(":")[0]
        assert f"gRPC at {bound}:" in (tmp_path / "log").read_text()


def test_an_address_in_grpcs_words() -> None:
    from orchestrator.serving.rpc import guard

    assert guard.client("ipv4:127.0.0.1:1234") == "127.0.0.1"
    assert guard.client("ipv6:%5B::1%5D:1234") == "::1"


def test_grpc_ends_with_http_and_answers_what_was_asked(
    tmp_path: Path, slow: Any, declaration: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    declared = declaration("slow", slow)
    (tmp_path / "state").mkdir()
    declarations.write(tmp_path / "state", declared)
    with running(tmp_path / "state") as both, ThreadPoolExecutor(1) as pool:
        local.wait_ready(both.url, declared)
        address = urlsplit(both.url)
        body = json.dumps({"instances": [[0.01]]}).encode()
        head = b"POST /v1/models/slow:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
        with (
            socket.create_connection((str(address.hostname), address.port or 0), timeout=60) as http,
            contextlib.closing(tritonclient.grpc.InferenceServerClient(both.rpc)) as client,
            contextlib.closing(tritonclient.grpc.InferenceServerClient(both.rpc)) as late,
        ):
            http.sendall(head + body[:4])
            asked = tensor(tritonclient.grpc, "seconds", np.array([1.5]), "FP64")
            under_way = pool.submit(client.infer, "slow", [asked])
            eventually(lambda: 'requests_in_flight{model_name="slow"} 2.0' in ask(both.url, "/metrics").text)
            os.kill(both.pid, signal.SIGTERM)
            # As long as a request over HTTP is not whole, that server is there; gRPC takes nothing new meanwhile.
            eventually(lambda: refuses(late))
            assert under_way.result(60).as_numpy("y").tolist() == [1.5]
            http.sendall(body[4:])
            assert http.recv(4096).startswith(b"HTTP/1.1 200 ")


def refuses(client: Any) -> bool:
    try:
        client.is_server_live(client_timeout=5)
    except InferenceServerException as error:
        return error.status() == "StatusCode.UNAVAILABLE"
    return False


def eventually(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 25
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.05)


def test_a_token_is_asked_for_over_grpc(tmp_path: Path, measured: Any, declaration: Callable[..., Any]) -> None:
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    declarations.write(tmp_path, declaration("measured", measured))
    with running(tmp_path, "--token-file", str(tmp_path / "token")) as both:
        with contextlib.closing(tritonclient.grpc.InferenceServerClient(both.rpc)) as client:
            assert client.is_server_live()
            for headers in ({}, {"authorization": "Bearer not-the-one"}):
                with pytest.raises(InferenceServerException) as caught:
                    client.is_model_ready("measured", headers=headers)
                assert caught.value.status() == "StatusCode.UNAUTHENTICATED"
                assert TOKEN not in str(caught.value)
            deadline = time.monotonic() + 30
            while not client.is_model_ready("measured", headers={"authorization": f"Bearer {TOKEN}"}):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert TOKEN not in (tmp_path / "log").read_text()


def test_kserves_clients(both: Both) -> None:
    done = subprocess.run(
        [aside.kserve(), HERE / "kserve_client.py", both.url, both.rpc],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    species = ["Adelie", "Gentoo"]
    assert found["v1"] == {"predictions": species}
    assert [found[each] for each in ("live", "ready", "model", "grpc_live", "grpc_ready", "grpc_model")] == [True] * 6
    assert [found[each][0] for each in ("v2", "binary", "grpc")] == [species] * 3
