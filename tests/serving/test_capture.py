"""What is kept of requests and answers: the format, where it goes, and what happens when there is no room."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import pytest

from orchestrator.serving import declarations, local
from orchestrator.serving.capture import files, line, writer
from orchestrator.serving.capture.captures import Captures
from orchestrator.serving.exchange import Exchange
from orchestrator.serving.metrics import Metrics
from orchestrator.serving.traffic import Capture
from tests.kfp import bucket

Ask = Callable[..., Any]
Declare = Callable[..., declarations.Declaration]
BEGAN = 1574197059.25  # 2019-11-19T20:57:39Z


def exchange(request: bytes = b"132,25", kind: str = "text/csv", **given: Any) -> Exchange:
    plain = {
        "endpoint": "penguins", "variant": "main", "model": "penguins", "version": "3", "protocol": "v1",
        "request_id": "r1", "inference_id": "", "request_type": kind, "request": request,
        "response_type": "text/csv; charset=utf-8", "response": b"0.01", "status": 200, "began": BEGAN, "seconds": 0.1,
    }  # fmt: skip
    return Exchange(**{**plain, **given})


def eventually(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.02)


def test_a_line_is_as_the_format_says() -> None:
    text = line.of(exchange(inference_id="mine"), Capture(to="x"))
    assert text.endswith(b"}\n")
    assert json.loads(text) == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv", "mode": "INPUT", "data": "132,25", "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "text/csv; charset=utf-8", "mode": "OUTPUT", "data": "0.01", "encoding": "CSV",
            },
        },
        "eventMetadata": {"eventId": "r1", "inferenceId": "mine", "inferenceTime": "2019-11-19T20:57:39Z"},
        "eventVersion": "0",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "body", "encoding", "data"),
    [
        ("application/json", b'{"instances": ["\xc3\xa9"]}', "JSON", '{"instances": ["\u00e9"]}'),
        ("application/vnd.api+json; charset=utf-8", b"{}", "JSON", "{}"),
        # curl's own name for a body, and none at all.
        ("application/x-www-form-urlencoded", b'{"instances": [[1]]}\n', "JSON", '{"instances": [[1]]}\n'),
        ("", b'{"instances": [[1]]}', "JSON", '{"instances": [[1]]}'),
        ("application/octet-stream", b'{"inputs": []}\x00\xff', "BASE64", "eyJpbnB1dHMiOiBbXX0A/w=="),
        ("", b'{"inputs": []}\x00\xff', "BASE64", "eyJpbnB1dHMiOiBbXX0A/w=="),
        ("text/csv", b"caf\xe9", "BASE64", "Y2Fm6Q=="),
        ("image/png", b"", "BASE64", ""),
    ],
)
def test_what_a_body_is_decides_how_it_is_written(kind: str, body: bytes, encoding: str, data: str) -> None:
    side = json.loads(line.of(exchange(body, kind), Capture(to="x")))["captureData"]["endpointInput"]
    assert (side["encoding"], side["data"]) == (encoding, data)


def test_only_what_is_wanted_is_kept() -> None:
    assert [*json.loads(line.of(exchange(), Capture(to="x", outputs=False)))["captureData"]] == ["endpointInput"]
    answers = json.loads(line.of(exchange(), Capture(to="x", inputs=False)))
    assert [*answers["captureData"]] == ["endpointOutput"]
    assert "inferenceId" not in answers["eventMetadata"]


def lines_below(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for path in sorted(folder.rglob("*.jsonl")) for text in path.read_text().splitlines()]


def test_files_stop_at_their_share_of_the_disk_and_go_on_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_LOOK_SECONDS", 0.0)
    place = files.Local(tmp_path / "kept", "penguins", disk=100)
    folder = files.of(exchange())
    assert folder == "penguins/main/2019/11/19/20"
    place.write(folder, [b"x" * 39 + b"\n", b"y" * 39 + b"\n"])
    with pytest.raises(files.FullError, match="its files take 80 of the 100 bytes it may have"):
        place.write(folder, [b"z" * 21])
    (grown,) = (tmp_path / "kept" / folder).iterdir()
    assert re.fullmatch(r"\d\d-\d\d-[0-9a-f]{12}\.jsonl", grown.name)
    grown.unlink()
    place.write(folder, [b"z" * 21])
    assert [path.read_bytes() for path in (tmp_path / "kept" / folder).iterdir()] == [b"z" * 21]


def test_each_variant_has_one_file_an_hour(tmp_path: Path) -> None:
    place = files.Local(tmp_path, "penguins", disk=10_000)
    for hour in (0, 1, 0, 2, 3):
        for _ in range(3):
            for variant in ("main", "next"):
                place.write(files.of(exchange(variant=variant, began=BEGAN + hour * 3600)), [b"{}\n"])
    found = {path.parent.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*.jsonl")}
    assert len(found) == len([*tmp_path.rglob("*.jsonl")]) == 8
    assert found["penguins/next/2019/11/19/20"] == b"{}\n" * 6
    # A server that runs for long does not remember all of them.
    assert len(place._current) == 4


def test_the_last_quarter_of_a_disk_is_not_for_capture(tmp_path: Path) -> None:
    place = files.Local(tmp_path / "kept", "penguins", disk=100, disk_full=0.0)
    with pytest.raises(files.FullError, match=r"the disk of .*kept is \d+% full"):
        place.write("penguins/main/2019/11/19/20", [b"x"])
    assert not (tmp_path / "kept").exists()


class Stuck:
    """A place that takes nothing until it is told to."""

    gather_seconds = 0.0
    gather_bytes = 1

    def __init__(self) -> None:
        self.go = threading.Event()
        self.entered = threading.Event()
        self.got: list[bytes] = []
        self.failures: list[Exception] = []

    def write(self, folder: str, lines: Sequence[bytes]) -> None:
        self.entered.set()
        assert self.go.wait(30)
        if self.failures:
            raise self.failures.pop()
        self.got += lines


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    place = Stuck()
    yield place
    place.go.set()


def test_a_queue_that_is_full_drops_and_counts_and_never_waits(
    stuck: Stuck, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "QUEUE_BYTES", 100)
    dropped: list[tuple[str, int]] = []
    kept: list[int] = []
    thread = writer.Writer("penguins", stuck, kept.append, lambda reason, count: dropped.append((reason, count)))
    thread.offer(writer.Item("a", b"first", 40))
    assert stuck.entered.wait(10)  # It is being written; the queue is empty.
    for text in (b"second", b"third", b"fourth"):
        thread.offer(writer.Item("a", text, 40))
    assert dropped == [("queue", 1)]
    thread.offer(writer.Item("a", b"larger than the queue", 101))
    assert dropped == [("queue", 1), ("size", 1)]
    assert "the queue of capture is full" in caplog.text
    assert len(caplog.records) == 1  # Not one for each.
    stuck.go.set()
    thread.close(10)
    assert stuck.got == [b"first", b"second", b"third"]
    assert sum(kept) == 3


def test_a_place_that_fails_is_tried_again_and_then_given_up(
    stuck: Stuck, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "orchestrator.serving.capture")
    monkeypatch.setattr(writer, "_AGAIN_SECONDS", 0.001)
    dropped: list[tuple[str, int]] = []
    kept: list[int] = []
    thread = writer.Writer("penguins", stuck, kept.append, lambda reason, count: dropped.append((reason, count)))
    stuck.go.set()
    stuck.failures = [OSError("no such bucket")] * (writer.TRIES - 1)
    thread.offer(writer.Item("a", b"late", 4))
    eventually(lambda: sum(kept) == 1)
    assert (stuck.got, dropped) == ([b"late"], [])
    assert [record.message for record in caplog.records] == [
        "penguins: capture stopped: no such bucket; predictions go on", "penguins: capture goes on",
    ]  # fmt: skip
    stuck.failures = [OSError("no such bucket")] * writer.TRIES
    thread.offer(writer.Item("a", b"lost", 4))
    eventually(lambda: dropped == [("write", 1)])
    assert thread.stopped == "no such bucket"
    thread.close(10)


def test_a_file_system_of_any_kind_takes_whole_objects(declaration: Declare, penguins: Any, tmp_path: Path) -> None:
    watched = Captures(tmp_path, Metrics())
    kept = captured(declaration, penguins, to="memory://kept/all", sample=100)
    observe = watched.attach(kept)
    assert observe is not None
    assert watched.attach(kept) == observe  # Declared again, with other weights say: nothing is interrupted.
    for number in range(5):
        observe(exchange(request_id=str(number), variant=f"v{number % 2}"))
    observe(exchange(b"x" * 100_000, request_id="large", variant="v0"))
    watched.close()
    system = fsspec.filesystem("memory")
    names = system.find("/kept/all")
    assert [re.sub(r"[^/]+$", "", name) for name in names] == [
        "/kept/all/penguins/v0/2019/11/19/20/", "/kept/all/penguins/v1/2019/11/19/20/",
    ]  # fmt: skip
    texts = [json.loads(text) for name in names for text in system.cat_file(name).splitlines()]
    assert [each["eventMetadata"]["eventId"] for each in texts] == ["0", "2", "4", "large", "1", "3"]
    assert watched.standing("penguins") is None


def test_a_sample_is_about_as_large_as_was_said(declaration: Declare, penguins: Any, tmp_path: Path) -> None:
    watched = Captures(tmp_path, Metrics())
    observe = watched.attach(captured(declaration, penguins, to="kept", sample=20))
    assert observe is not None
    for _ in range(2000):
        observe(exchange())
    watched.close()
    # Six standard deviations: once in half a billion times it is outside.
    assert 292 < len(lines_below(tmp_path / "kept")) < 508


def captured(declaration: Declare, *models: Any, name: str = "penguins", **capture: Any) -> declarations.Declaration:
    plain = json.loads(declarations.dump(declaration(name, *models, weights=(1.0,) * len(models))))
    plain["spec"]["capture"] = capture
    return declarations.load(json.dumps(plain))


def metric(ask: Ask, url: str, start: str) -> float:
    found = [text for text in ask(url, "/metrics").text.splitlines() if text.startswith(start)]
    return sum(float(text.split()[-1]) for text in found)


def test_a_server_captures_what_it_answers(state: Path, penguins: Any, declaration: Declare, ask: Ask) -> None:
    declared = captured(declaration, penguins, penguins, to="kept", sample=100)
    local.declare(state, declared)
    url = local.ensure(state).url
    local.wait_ready(url, declared)
    for number in range(40):
        body = {"instances": [penguins.examples[number % 3]]}
        assert ask(url, "/v1/models/penguins:predict", body, headers={"x-inference-id": f"i{number}"}).status == 200
    assert ask(url, "/v1/models/penguins:predict", b"nonsense").status == 400
    eventually(lambda: len(lines_below(state / "kept")) == 40)
    found = {each["eventMetadata"]["inferenceId"]: each["captureData"] for each in lines_below(state / "kept")}
    for number in range(40):
        side = found[f"i{number}"]
        assert json.loads(side["endpointInput"]["data"]) == {"instances": [penguins.examples[number % 3]]}
        assert json.loads(side["endpointOutput"]["data"]) == {"predictions": [penguins.predictions[number % 3]]}
    assert {path.relative_to(state).parts[:3] for path in (state / "kept").rglob("*.jsonl")} == {
        ("kept", "penguins", "v1"), ("kept", "penguins", "v2"),
    }  # fmt: skip
    assert metric(ask, url, 'captured_total{model_name="penguins"}') == 40


def test_a_server_with_no_room_for_captures_says_so_and_predicts(
    state: Path, penguins: Any, declaration: Declare, ask: Ask
) -> None:
    declared = captured(declaration, penguins, to="kept", sample=100, disk="1")
    local.declare(state, declared)
    url = local.ensure(state).url
    local.wait_ready(url, declared)
    sent = 0
    while metric(ask, url, 'capture_dropped_total{model_name="penguins",reason="disk"}') < 3:
        assert ask(url, "/v1/models/penguins:predict", {"instances": penguins.examples}).status == 200
        sent += 1
        assert sent < 1000
    assert "penguins: capture stopped: its files take 0 of the 1 bytes it may have" in (
        (state / "server.log").read_text()
    )
    assert lines_below(state / "kept") == []


def test_captures_go_to_an_object_store_before_the_server_ends(
    state: Path, penguins: Any, declaration: Declare, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bucket.serving() as store:
        for name, value in (("KEY_ID", "t"), ("KEY", "t")):
            monkeypatch.setenv(f"AWS_{'SECRET_' if name == 'KEY' else ''}ACCESS_{name}", value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
        declared = captured(declaration, penguins, to="s3://lake/kept", sample=100)
        local.declare(state, declared)
        url = local.ensure(state).url
        local.wait_ready(url, declared)
        assert ask(url, "/v1/models/penguins:predict", {"instances": penguins.examples}).status == 200
        assert local.stop(state)
        (name,) = store.names()
        assert re.fullmatch(r"kept/penguins/v1/\d{4}/\d\d/\d\d/\d\d/\d\d-\d\d-[0-9a-f]{12}\.jsonl", name)
