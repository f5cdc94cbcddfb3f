"""What others do wrong to a queue: listeners, places and models that hang, babble, or come late."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.serving import declarations
from orchestrator.serving.metrics import Metrics
from orchestrator.serving.queue import dispatcher, errand, hand, notice, teller
from orchestrator.serving.queue.hand import Files, Hand, Stop
from orchestrator.serving.queue.item import Item, Outcome
from orchestrator.serving.queue.queue import Queue, new_id
from orchestrator.serving.queue.store import Store
from tests.serving.test_async import Listener, add, answering, eventually, over, queued, running

Declare = Callable[..., declarations.Declaration]
HALF = "half of \ud83d"


@contextlib.contextmanager
def opened(folder: Path, *declared: declarations.Declaration) -> Iterator[Queue]:
    """A queue in this process."""
    queue = Queue(folder, Metrics())
    try:
        for each in declared:
            queue.attach(each)
        yield queue
    finally:
        queue.close()


@contextlib.contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()
    try:
        yield listener
    finally:
        listener.server.shutdown()
        listener.server.server_close()


class Babbler:
    """A port that answers, but never in HTTP; without words it says nothing at all."""

    def __init__(self, words: bytes) -> None:
        self.calls = 0
        self._words = words
        self._open: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # It was closed.
            while True:
                connection, _ = self._server.accept()
                self.calls += 1
                self._open.append(connection)
                if self._words:
                    connection.recv(65536)
                    connection.sendall(self._words)
                    connection.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self._open:
            connection.close()


def item(name: str, folder: Path, **about: Any) -> Item:
    """A request that waited too long."""
    id = new_id()
    places = {"output": str(folder / f"{id}.out"), "failure": str(folder / f"{id}-error.out")}
    now = time.time()
    given = Item(id, name, "v1", {}, "", **places, received=now - 2, expires=now - 1, timeout=60.0)
    return replace(given, **about)


def test_who_speaks_no_http_is_told_a_few_times_and_the_log_says_why(
    penguins: Any, declaration: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(teller, "NOTICE_TRIES", 2)
    monkeypatch.setattr(teller, "_AGAIN_SECONDS", 0.01)
    babbler = Babbler(b"220 mail.example.org\r\n")
    urls = {"babbles": babbler.url, "port": "http://me:SECRET@h:abc/x", "bracket": "http://me:SECRET@[::1"}
    reasons = {"babbles": "127.0.0.1: BadStatusLine", "port": "h: InvalidURL", "bracket": "its address cannot be read"}
    declared = [queued(declaration, penguins, name, ttl="1ms", notify={"failure": url}) for name, url in urls.items()]
    with opened(tmp_path / "state", *declared) as queue:
        items = {name: add(queue, {}, name) for name in urls}
        for name, reason in reasons.items():
            told = f"{name}: request {items[name].id} is not told of: notification: {reason}"
            eventually(lambda told=told: told in caplog.text)  # type: ignore[misc]
    babbler.close()
    assert babbler.calls == 2
    assert "SECRET" not in caplog.text


def test_what_is_to_be_told_waits_for_its_endpoint(penguins: Any, declaration: Declare, tmp_path: Path) -> None:
    (tmp_path / "state" / "queue").mkdir(parents=True)
    store = Store(tmp_path / "state" / "queue" / "queue.db")
    expired, finished = item("late", tmp_path), item("late", tmp_path)
    lost = item("late", tmp_path, status="InProgress", tries=1000)
    for each in (expired, finished, lost):
        store.add(each)
    store.finish(finished.id, Outcome("Failed", "of old"), time.time(), tell=True)
    store.close()
    with listening() as listener:
        heard = lambda: {json.loads(body)["inferenceId"] for _, _, body in listener.heard}  # noqa: E731
        wanted = {"ttl": "1ms", "notify": {"failure": listener.url}}
        early, late = (queued(declaration, penguins, name, **wanted) for name in ("early", "late"))
        # A server that starts has its endpoints one after the other.
        with opened(tmp_path / "state", early) as queue:
            first = add(queue, {}, "early")
            eventually(lambda: heard() == {first.id})
            for each in (expired, lost):
                over(queue, each)
            second = add(queue, {}, "early")
            eventually(lambda: heard() == {first.id, second.id})
            queue.attach(late)
            eventually(lambda: heard() == {first.id, second.id, expired.id, finished.id, lost.id})
            # Nobody is told twice, and no look at what could not be told was a try.
            third = add(queue, {}, "early")
            eventually(lambda: third.id in heard())
            assert len(listener.heard) == 6


def test_what_nobody_could_be_told_of_is_forgotten_in_the_end(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.db")
    for at in (0.0, time.time()):
        store.add(each := item("gone", tmp_path))
        store.finish(each.id, Outcome("Failed", "x"), at, tell=True)
    store.prune(time.time())
    assert [left.id for left in store.latest("gone")] == [each.id]
    assert store.notices(time.time(), []) == []
    assert [due.item.id for due in store.notices(time.time(), ["other", "gone"])] == [each.id]
    store.close()


def test_half_a_character_in_a_reason_ends_no_request(
    slow: Any, declaration: Declare, tmp_path: Path, caplog: Any
) -> None:
    code = f"class Slow:\n    def predict(self, rows):\n        raise ValueError({HALF!a})\n"
    (tmp_path / "code" / "slow_model.py").write_text(code)
    sys.modules.pop("slow_model", None)
    with listening() as listener:
        declared = queued(declaration, slow, "slow", notify={"failure": listener.url})
        with opened(tmp_path / "state", declared) as queue:
            ended = over(queue, add(queue, {"instances": [[1]]}))
            assert ended.status == "Failed"
            assert ended.reason.endswith("half of \\ud83d")
            assert json.loads(Path(ended.failure).read_text())["error"] == ended.reason
            eventually(lambda: len(listener.heard) == 1)
    assert "Traceback" not in caplog.text


def test_half_a_character_is_written_as_json_writes_it(tmp_path: Path) -> None:
    failed = item("penguins", tmp_path, status="Failed", reason=HALF, finished=time.time())
    errand.write_failure(failed, Outcome("Failed", HALF, code=500))
    assert json.loads(Path(failed.failure).read_bytes())["error"] == HALF
    with listening() as listener:
        notice.send(listener.url, failed, None)
        assert json.loads(listener.heard[0][2])["failureReason"] == HALF


def test_a_place_that_hangs_keeps_no_other_endpoint_waiting(
    penguins: Any, declaration: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    silent = Babbler(b"")
    for name, value in {"ACCESS_KEY_ID": "t", "SECRET_ACCESS_KEY": "t", "ENDPOINT_URL": silent.url}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    hangs = queued(declaration, penguins, "hangs", ttl="1ms", failure="s3://lake/failed")
    works = queued(declaration, penguins, "works", ttl="1ms")
    with opened(tmp_path / "state", hangs, works) as queue:
        stuck = add(queue, {}, "hangs")
        eventually(lambda: silent.calls > 0)
        assert over(queue, add(queue, {}, "works")).status == "Failed"
        assert queue.find("hangs", stuck.id).status == "Queued"
        # It is tried once at a time, however often it is looked at.
        assert silent.calls == 1
        silent.close()
        # No reason can be left there, and the request ends all the same.
        assert over(queue, stuck).status == "Failed"
    # Of what was made with this test's environment nothing is left for the tests after it.
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_process_that_does_not_end_keeps_no_other_endpoint_waiting(
    penguins: Any, declaration: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand, "_END_SECONDS", 600.0)
    first = queued(declaration, penguins, "first")
    late = queued(declaration, penguins, "late", ttl="1ms")
    with opened(tmp_path / "state", first, late) as queue:
        assert over(queue, add(queue, {"instances": penguins.examples}, "first")).status == "Completed"
        (pid,) = answering(tmp_path / "state")
        os.kill(pid, signal.SIGSTOP)
        try:
            monkeypatch.setattr(dispatcher, "IDLE_SECONDS", 0.0)
            eventually(lambda: any(each.name == "queue-leaving" for each in threading.enumerate()))
            assert over(queue, add(queue, {}, "late")).status == "Failed"
            assert len(running(queue)) == 1
        finally:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: running(queue) == [])


class Recorded(Hand):
    """A process of which the files are known that it was given."""

    def __init__(self, *given: Any) -> None:
        self.files: list[Files] = []
        super().__init__(*given)

    def answer(self, item: Item, files: Files, seconds: float, stop: Stop) -> Outcome:
        self.files.append(files)
        return super().answer(item, files, seconds, stop)


def test_each_try_has_a_file_of_its_own_for_its_answer(penguins: Any, declaration: Declare, tmp_path: Path) -> None:
    declared = queued(declaration, penguins)
    state, folder = tmp_path / "state", tmp_path / "state" / "queue"
    for each in ("bodies", "work"):
        (folder / each).mkdir(parents=True)
    asked = item("penguins", tmp_path)
    (folder / "bodies" / asked.id).write_text(json.dumps({"instances": penguins.examples}))
    process = Recorded(declared, folder / "work" / "hand", state)
    wanted = declared.spec.asynchronous
    assert wanted
    try:
        for _ in range(2):
            outcome = errand.run(asked, process, wanted, state=state, folder=folder, stop=lambda: "")
            assert outcome.status == "Completed"
            assert json.loads(Path(asked.output).read_text()) == {"predictions": penguins.predictions}
    finally:
        process.close(kill=True)
    first, second = process.files
    assert first.answer != second.answer
    assert not any((folder / "work").iterdir())


def test_a_model_that_takes_too_long_to_load_is_not_one_that_does_not_answer(
    penguins: Any, declaration: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand, "LOAD_SECONDS", 0.01)
    monkeypatch.setattr(errand, "TRIES", 1)
    with opened(tmp_path / "state", queued(declaration, penguins)) as queue:
        ended = over(queue, add(queue, {"instances": penguins.examples}, "penguins"))
        assert ended.reason == "the model was not loaded within 0.01 s"
        assert json.loads(Path(ended.failure).read_text())["status"] == 503
