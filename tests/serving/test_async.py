"""Requests that nobody waits for: taken, answered, written, told of; and what a kill, a crash and a hang do to them."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.serving import declarations, local
from orchestrator.serving.metrics import Metrics
from orchestrator.serving.queue import dispatcher, errand, location, teller
from orchestrator.serving.queue.item import Item
from orchestrator.serving.queue.queue import Queue, new_id
from tests.kfp import bucket

Ask = Callable[..., Any]
Declare = Callable[..., declarations.Declaration]
PREDICT = "/v1/models/penguins:predictAsync"


def eventually(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.02)


def queued(declaration: Declare, model: Any, name: str = "penguins", **wanted: Any) -> declarations.Declaration:
    plain = json.loads(declarations.dump(declaration(name, model)))
    plain["spec"] |= {"mode": "async", "async": {"output": "answers", **wanted}}
    return declarations.load(json.dumps(plain))


def start(state: Path, declared: declarations.Declaration) -> str:
    local.declare(state, declared)
    url = local.ensure(state).url
    local.wait_ready(url, declared)
    return url


def done(ask: Ask, url: str, taken: Any) -> dict[str, Any]:
    """The status of a request that was taken, once it is over."""
    assert taken.status == 202, taken.text
    found: list[dict[str, Any]] = []

    def is_over() -> bool:
        found[:] = [ask(url, taken.json["StatusLocation"]).json]
        return found[0]["Status"] not in ("Queued", "InProgress")

    eventually(is_over)
    return found[0]


class Listener:
    """Somebody who is told: what was sent, and with which headers. Refuses as often as it is told to."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, str], bytes]] = []
        self.refusals = 0
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                listener.heard.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                code = 503 if listener.refusals > 0 else 204
                listener.refusals -= 1
                self.send_response(code)
                self.end_headers()

            def do_GET(self) -> None:
                self.send_response(302)
                self.send_header("location", "http://127.0.0.1:9/secret")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Silent."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def listener() -> Iterator[Listener]:
    heard = Listener()
    yield heard
    heard.server.shutdown()
    heard.server.server_close()


def test_a_request_is_taken_answered_and_told_of(
    state: Path, tmp_path: Path, penguins: Any, declaration: Declare, ask: Ask, listener: Listener
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "doc.json").write_text(json.dumps({"instances": penguins.examples}))
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "secret")
    notify = {"success": f"{listener.url}/yes?token=t", "failure": f"{listener.url}/no"}
    notify["secret"] = str(tmp_path / "secret")
    listener.refusals = 1
    declared = queued(
        declaration, penguins, inputs=[str(tmp_path / "in"), f"{listener.url}/in/"], body="100k", notify=notify
    )
    url = start(state, declared)

    # A body, of either protocol.
    taken = ask(url, PREDICT, {"instances": penguins.examples}, headers={"x-inference-id": "mine", "accept": "a/b"})
    assert taken.json["InferenceId"] == "mine"
    assert taken.headers["location"] == taken.json["StatusLocation"]
    said = done(ask, url, taken)
    assert said["Status"] == "Completed"
    assert said["OutputLocation"] == taken.json["OutputLocation"]
    assert json.loads(Path(said["OutputLocation"]).read_text()) == {"predictions": penguins.predictions}
    assert Path(said["OutputLocation"]).is_relative_to(state / "answers" / "penguins")
    inputs = [
        {"name": name, "datatype": "BYTES" if isinstance(value, str) else "FP64", "shape": [1], "data": [value]}
        for name, value in penguins.examples[0].items()
        if value is not None
    ]
    two = done(ask, url, ask(url, "/v2/models/penguins/inferAsync", {"inputs": inputs}))
    assert json.loads(Path(two["OutputLocation"]).read_text())["outputs"][0]["data"] == penguins.predictions[:1]
    # A document that is somewhere else.
    document = (tmp_path / "in" / "doc.json").as_uri()
    three = done(ask, url, ask(url, PREDICT, method="POST", headers={"x-input-location": document}))
    assert json.loads(Path(three["OutputLocation"]).read_text()) == {"predictions": penguins.predictions}
    # A deployment asks for the example as everybody does.
    proved = local.send_example(declared, url)
    assert proved.response == {"predictions": penguins.predictions[:1]}
    assert f"{PREDICT} " in proved.curl
    # What the model refuses, and what is not there, end on the path of failures.
    wrong = done(ask, url, ask(url, PREDICT, b"nonsense"))
    assert wrong["Status"] == "Failed"
    assert "not valid JSON" in wrong["FailureReason"]
    why = json.loads(Path(wrong["FailureLocation"]).read_text())
    assert why == {"error": wrong["FailureReason"], "status": 400, "inferenceId": wrong["InferenceId"]}
    missing = {"x-input-location": str(tmp_path / "in" / "missing")}
    assert "No such file" in done(ask, url, ask(url, PREDICT, method="POST", headers=missing))["FailureReason"]
    # Nobody is led elsewhere by an address that may be named.
    led = {"x-input-location": f"{listener.url}/in/doc"}
    assert "HTTP Error 302" in done(ask, url, ask(url, PREDICT, method="POST", headers=led))["FailureReason"]
    # What a client may not do.
    refused = [
        (ask(url, PREDICT, b""), 400, "no body, and no header x-input-location"),
        (ask(url, PREDICT, b"x" * 100_001), 413, "larger than 100,000 bytes"),
        (ask(url, PREDICT, b"x", headers={"x-input-location": document}), 400, "send no body"),
        (ask(url, PREDICT, method="POST", headers={"x-input-location": "/etc/passwd"}), 403, "not below"),
        (ask(url, PREDICT, method="POST", headers={"x-input-location": str(tmp_path / "in/link")}), 403, "not below"),
        (ask(url, PREDICT, {}, headers={"x-variant": "nobody"}), 400, "no variant 'nobody'"),
        (ask(url, PREDICT, {}, headers={"x-inference-id": "x" * 65}), 400, "longer than 64"),
        (ask(url, "/v1/models/nobody:predictAsync", {}), 404, "no model 'nobody'"),
        (ask(url, "/v1/models/penguins/async/nothing"), 404, "no request 'nothing'"),
        (ask(url, PREDICT, method="GET"), 405, "does not take GET"),
        (ask(url, said["StatusLocation"], method="DELETE"), 409, "is Completed already"),
    ]
    for reply, status, words in refused:
        assert (reply.status, words in reply.json["error"]) == (status, True), reply.text
    listed = ask(url, "/v1/models/penguins/async").json["requests"]
    assert {each["InferenceId"] for each in listed} >= {"mine", two["InferenceId"], wrong["InferenceId"]}
    # Who was told of what: refused once, and told again.
    eventually(lambda: sum(path == "/no" for path, _, _ in listener.heard) >= 2 and len(listener.heard) >= 8)
    messages = {json.loads(body)["inferenceId"]: (path, head, body) for path, head, body in listener.heard}
    path, headers, body = messages["mine"]
    assert path == "/yes?token=t"
    assert headers["x-signature"] == "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert json.loads(body) == {
        "awsRegion": "",
        "eventTime": said["EndTime"],
        "receivedTime": said["ReceivedTime"],
        "invocationStatus": "Completed",
        "requestParameters": {"accept": "a/b", "endpointName": "penguins", "inputLocation": ""},
        "responseParameters": {"contentType": "application/json", "outputLocation": said["OutputLocation"]},
        "inferenceId": "mine",
        "eventVersion": "1.0",
        "eventSource": "orchestrator:serving",
        "eventName": "InferenceResult",
    }
    path, _, body = messages[wrong["InferenceId"]]
    assert path == "/no"
    told = json.loads(body)
    assert (told["invocationStatus"], told["failureReason"]) == ("Failed", wrong["FailureReason"])
    assert told["responseParameters"]["outputLocation"] == wrong["FailureLocation"]
    assert "token=t" not in (state / "server.log").read_text()
    # Bodies are gone when their requests are done with.
    eventually(lambda: not any((state / "queue" / "bodies").iterdir()))


def test_documents_and_answers_in_an_object_store(
    state: Path, penguins: Any, declaration: Declare, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    with bucket.serving() as store:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "t")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "t")
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
        system = fsspec.filesystem("s3", skip_instance_cache=True)
        system.pipe_file("lake/in/doc.json", json.dumps({"instances": penguins.examples}).encode())
        wanted = {"output": "s3://lake/out", "failure": "s3://lake/failed", "inputs": ["s3://lake/in/"]}
        url = start(state, queued(declaration, penguins, **wanted))
        headers = {"x-input-location": "s3://lake/in/doc.json"}
        taken = ask(url, PREDICT, method="POST", headers=headers)
        id = taken.json["StatusLocation"].rpartition("/")[2]
        assert taken.json["OutputLocation"] == f"s3://lake/out/penguins/{id}.out"
        assert done(ask, url, taken)["Status"] == "Completed"
        assert json.loads(system.cat_file(taken.json["OutputLocation"])) == {"predictions": penguins.predictions}
        failed = done(ask, url, ask(url, PREDICT, b"nonsense"))
        assert failed["FailureLocation"].startswith("s3://lake/failed/penguins/")
        assert store.names()[0].startswith("failed/penguins/")
        assert ask(url, PREDICT, method="POST", headers={"x-input-location": "s3://lake/other"}).status == 403
        assert local.stop(state)


@pytest.mark.parametrize(
    ("uri", "is_allowed"),
    [
        ("s3://lake/in/doc", True),
        ("s3://lake/in/deep/er/doc?versionId=3", True),
        ("s3://lake/in", False),
        ("s3://lake/inside", False),
        ("s3://lake/in/../secret", False),
        ("s3://lake/in/%2e%2e/secret", False),
        ("s3://lake/in/./doc", False),
        ("s3://other/in/doc", False),
        ("s3://key:word@lake/in/doc", False),
        ("gs://lake/in/doc", False),
        ("https://docs.example.org/a/b", True),
        ("http://docs.example.org/a/b", False),
        ("https://docs.example.org:8443/a/b", False),
        ("https://docs.example.org.evil.org/a/b", False),
        ("https://docs.example.org@evil.org/a/b", False),
        ("https://docs.example.org/a/b#c", False),
        ("https://docs.example.org/a\\..\\b", False),
        ("zip://x::s3://lake/in/doc", False),
        ("simplecache::s3://lake/in/doc", False),
        ("s3://lake/in/doc\n", False),
        ("file:///etc/passwd", False),
        ("/etc/passwd", False),
        ("in/doc", False),
        ("", False),
        ("https://[", False),
    ],
)
def test_what_a_client_may_have_read(uri: str, is_allowed: bool, tmp_path: Path) -> None:
    assert location.is_allowed(uri, ["s3://lake/in/", "https://docs.example.org", "in"], tmp_path) is is_allowed


def test_files_a_client_may_have_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a doc").write_text("x")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "in" / "out").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "in" / "pipe")
    allowed = {
        name: location.is_allowed(name, ["in", "s3://lake"], tmp_path)
        for name in (
            f"{tmp_path}/in/a doc", f"file://{tmp_path}/in/a%20doc", f"{tmp_path}/in/../secret", f"{tmp_path}/in",
            f"{tmp_path}/in/out/secret", f"file://{tmp_path}/in/%2e%2e/secret", f"{tmp_path}/in/pipe",
        )
    }  # fmt: skip
    assert list(allowed.values()) == [True, True, False, False, False, False, False]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Queue]]:
    """Queues in this process, on a state folder of their own."""
    queues: list[Queue] = []

    def open(declared: declarations.Declaration) -> Queue:
        queues.append(Queue(tmp_path / "state", Metrics()))
        queues[-1].attach(declared)
        return queues[-1]

    yield open
    for each in queues:
        each.close()


def add(queue: Queue, body: Any, name: str = "slow") -> Item:
    id = new_id()
    queue.body(id).write_text(json.dumps(body))
    return queue.add(name, "v1", {"content-type": "application/json"}, id=id)


def over(queue: Queue, item: Item) -> Item:
    eventually(lambda: queue.find(item.endpoint, item.id).status not in ("Queued", "InProgress"))
    return queue.find(item.endpoint, item.id)


def running(queue: Queue) -> list[Path]:
    """The folders of the processes that answer."""
    work = queue.folder / "work"
    return [path for path in work.iterdir() if path.is_dir()] if work.exists() else []


def test_what_hangs_is_killed_what_fails_says_why_and_the_next_is_answered(
    slow: Any, declaration: Declare, opened: Callable[..., Queue], caplog: pytest.LogCaptureFixture
) -> None:
    queue = opened(queued(declaration, slow, "slow", timeout="1s"))
    hangs, fails, refuses, works = (add(queue, {"instances": [[value]]}) for value in (300, -2, -1, 0.01))
    assert over(queue, hangs).reason == "the model did not answer within 1 s"
    assert json.loads(Path(hangs.failure).read_text())["status"] == 504
    assert over(queue, fails).reason.startswith("the model failed: RuntimeError")
    assert "minus one is no time" in over(queue, refuses).reason
    assert over(queue, works).status == "Completed"
    assert json.loads(Path(works.output).read_text()) == {"predictions": [0.01]}
    assert [queue.find("slow", each.id).tries for each in (hangs, fails, refuses, works)] == [1, 1, 1, 1]
    assert f"request {hangs.id} failed: the model did not answer within 1 s" in caplog.text


def test_what_is_cancelled_is_not_answered(slow: Any, declaration: Declare, opened: Callable[..., Queue]) -> None:
    queue = opened(queued(declaration, slow, "slow"))
    first, second = add(queue, {"instances": [[300]]}), add(queue, {"instances": [[300]]})
    eventually(lambda: queue.find("slow", first.id).status == "InProgress")
    assert queue.cancel("slow", second.id).status == "Cancelled"
    assert queue.cancel("slow", first.id).status == "InProgress"
    assert over(queue, first).status == "Cancelled"
    assert not Path(first.failure).exists()
    assert not any((queue.folder / "bodies").iterdir())


def test_a_request_that_waited_too_long_is_on_the_path_of_failures(
    slow: Any, declaration: Declare, opened: Callable[..., Queue], listener: Listener
) -> None:
    # A request that waits no time at all is always late.
    wanted = {"ttl": "1ms", "failure": "failed", "notify": {"failure": listener.url}}
    queue = opened(queued(declaration, slow, "slow", **wanted))
    late = over(queue, add(queue, {"instances": [[0.01]]}))
    assert (late.status, late.reason) == ("Failed", "it was not begun within 0.001 s of its arrival")
    assert "/failed/slow/" in late.failure
    assert json.loads(Path(late.failure).read_text())["error"] == late.reason
    eventually(lambda: len(listener.heard) == 1)
    assert json.loads(listener.heard[0][2])["failureReason"] == late.reason
    assert running(queue) == []


CRASHES = """
import os
import time
from pathlib import Path

CALLS = Path(__file__).with_name("calls")


class Crashes:
    def predict(self, rows):
        with CALLS.open("a") as file:
            file.write("x")
        calls = len(CALLS.read_text())
        print("chatter of a model")
        if calls <= rows[0, 0]:
            os.kill(os.getpid(), 9)
        return rows[:, 0]
"""


@pytest.fixture
def crashes(slow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A model that is killed as often as its input says."""
    (tmp_path / "code" / "slow_model.py").write_text(CRASHES.replace("Crashes", "Slow"))
    sys.modules.pop("slow_model", None)
    return slow


def test_a_process_that_dies_is_followed_by_another_but_not_for_ever(
    crashes: Any, declaration: Declare, opened: Callable[..., Queue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errand, "TRIES", 2)
    queue = opened(queued(declaration, crashes, "slow"))
    late = add(queue, {"instances": [[1]]})
    assert over(queue, late).status == "Completed"
    assert queue.find("slow", late.id).tries == 2
    never = over(queue, add(queue, {"instances": [[1000]]}))
    assert never.reason == "the process that answered it was killed (by the system perhaps, for want of memory)"
    assert (never.status, never.tries) == ("Failed", 2)


def test_an_orderly_end_costs_a_request_no_try(slow: Any, declaration: Declare, opened: Callable[..., Queue]) -> None:
    declared = queued(declaration, slow, "slow")
    queue = opened(declared)
    item = add(queue, {"instances": [[5]]})
    eventually(lambda: queue.find("slow", item.id).status == "InProgress" and bool(running(queue)))
    queue.close()
    assert running(queue) == []
    ended = over(opened(declared), item)
    assert (ended.status, ended.tries) == ("Completed", 1)


def test_hundreds_of_requests_by_as_many_processes_as_there_may_be_and_then_none(
    penguins: Any, declaration: Declare, opened: Callable[..., Queue], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dispatcher, "IDLE_SECONDS", 1.0)
    plain = json.loads(declarations.dump(queued(declaration, penguins, workers=2)))
    plain["spec"]["capture"] = {"to": "kept", "sample": 100}
    queue = opened(declarations.load(json.dumps(plain)))
    items = [add(queue, {"instances": penguins.examples[:1]}, "penguins") for _ in range(120)]
    most = 0

    def are_done() -> bool:
        nonlocal most
        most = max(most, len(running(queue)))
        return all(Path(item.output).exists() for item in items)

    eventually(are_done, 120)
    assert most == 2
    eventually(lambda: {queue.find("penguins", item.id).status for item in items} == {"Completed"})
    assert {json.loads(Path(item.output).read_text())["predictions"][0] for item in items} == {penguins.predictions[0]}
    eventually(lambda: running(queue) == [])  # Nobody asks: nothing is kept in memory.
    eventually(lambda: b'captured_total{model_name="penguins"} 120.0' in queue.metrics.text())
    kept = [text for path in (tmp_path / "state" / "kept").rglob("*.jsonl") for text in path.read_text().splitlines()]
    assert len(kept) == 120


def test_nobody_is_told_for_ever(
    penguins: Any, declaration: Declare, opened: Callable[..., Queue], monkeypatch: pytest.MonkeyPatch,
    listener: Listener, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(teller, "NOTICE_TRIES", 2)
    listener.refusals = 100
    queue = opened(queued(declaration, penguins, ttl="1ms", notify={"failure": f"{listener.url}/hook/SECRET"}))
    item = add(queue, {"instances": penguins.examples}, "penguins")
    eventually(lambda: f"request {item.id} is not told of: notification: 127.0.0.1 answered 503" in caplog.text)
    assert len(listener.heard) == 2
    assert "SECRET" not in caplog.text


def test_a_killed_server_loses_nothing(state: Path, slow: Any, declaration: Declare, ask: Ask) -> None:
    declared = queued(declaration, slow, "slow")
    url = start(state, declared)
    taken = [ask(url, "/v1/models/slow:predictAsync", {"instances": [[seconds]]}) for seconds in (3, 0.01, 0.02)]
    eventually(lambda: ask(url, taken[0].json["StatusLocation"]).json["Status"] == "InProgress")
    (child,) = answering(state)
    server = local.find(state)
    assert server
    os.kill(server.pid, signal.SIGKILL)
    # What answered for it is not left behind.
    eventually(lambda: not Path(f"/proc/{child}").exists() or _is_zombie(child))
    url = start(state, declared)
    said = [done(ask, url, each) for each in taken]
    assert [each["Status"] for each in said] == ["Completed"] * 3
    assert json.loads(Path(said[0]["OutputLocation"]).read_text()) == {"predictions": [3.0]}
    names = sorted(path.name for path in Path(said[0]["OutputLocation"]).parent.iterdir())
    assert names == sorted(Path(each["OutputLocation"]).name for each in said)  # Nothing half-written.


def answering(state: Path) -> list[int]:
    """The processes that answer for the queue of a state folder."""
    found: list[int] = []

    def look() -> bool:
        found.clear()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                said = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"orchestrator.serving.queue" in said and str(state).encode() in b" ".join(said):
                found.append(int(path.parent.name))
        return bool(found)

    eventually(look)
    return found


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
