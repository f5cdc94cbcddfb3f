"""What the server counts, as Prometheus' own parser reads it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.serving import declarations, gauges, local
from orchestrator.serving.gauges import Value
from orchestrator.serving.metrics import Metrics, Shown

Ask = Callable[..., Any]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float:
    """The sum over the samples that have these labels."""
    found = [value for (each, has), value in samples.items() if each == name and labels.items() <= set(has)]
    return sum(found)


def test_every_name_that_was_promised() -> None:
    metrics = Metrics()
    metrics.timings("m").explain.observe(0.1)
    metrics.request("m", "main", "3", "v2", 200, seconds=0.002)
    metrics.request("m", "main", "3", "v2", 504, seconds=60.0)
    metrics.request("m", "main", "3", "v2", 400, seconds=0.001)
    metrics.request("m", "main", "3", "v2", 503, seconds=0.001, kind="overloaded")
    metrics.batch("m", 12)
    metrics.captured("m", 2)
    metrics.capture_dropped("m", "queue")
    metrics.shadow("m", "next", "different")
    metrics.in_flight("m", 3)
    metrics.queued("m", 5)
    metrics.loaded_bytes("m", 1024)
    metrics.loaded("m", ready=True, outcome="loaded")
    metrics.serving("m", [Shown("main", "m", "3", "onnx", 3), Shown("next", "m", "4", "native", 1)])
    found = read(metrics.text().decode())
    for name, value in (
        ("request_preprocess_seconds_count", 0),
        ("request_predict_seconds_count", 0),
        ("request_postprocess_seconds_count", 0),
        ("request_explain_seconds_count", 1),
        ("request_rows_count", 0),
        ("request_seconds_count", 2),  # What the client did wrong, or was sent away, says nothing of the model.
        ("requests_total", 4),
        ("batch_rows_sum", 12),
        ("captured_total", 2),
        ("requests_in_flight", 3),
        ("queue_length", 5),
        ("model_loaded_bytes", 1024),
        ("model_ready", 1),
        ("model_loads_total", 1),
    ):
        assert of(found, name, model_name="m") == value, name
    assert of(found, "request_errors_total", kind="timeout", variant="main") == 1
    assert of(found, "request_errors_total", kind="input") == 1
    assert of(found, "request_errors_total", kind="overloaded") == 1
    assert of(found, "capture_dropped_total", reason="queue") == 1
    assert of(found, "shadow_requests_total", variant="next", outcome="different") == 1
    assert of(found, "variant_weight", variant="main") == 0.75
    assert of(found, "model_info", variant="main", model="m", version="3", format="onnx", weight="0.75") == 1
    # Other weights take the place of those before, and nothing is left of what is gone.
    metrics.serving("m", [Shown("main", "m", "4", "native", 1)])
    found = read(metrics.text().decode())
    assert of(found, "model_info") == 1
    assert of(found, "variant_weight") == 1
    metrics.removed("m")
    assert not [name for name, _ in read(metrics.text().decode()) if name in gauges.KINDS]


def test_gauges_of_several_processes_become_one() -> None:
    values = [
        Value("requests_in_flight", ("m",), 2),
        Value("requests_in_flight", ("m",), 3),
        Value("model_ready", ("m",), 1),
        Value("model_ready", ("m",), 0),
        Value("queue_length", ("m",), 7),
        Value("queue_length", ("m",), 6),
        Value("of a later version", ("m",), 6),
    ]
    assert gauges.merged(values) == {
        ("requests_in_flight", ("m",)): 5,
        ("model_ready", ("m",)): 0,
        ("queue_length", ("m",)): 7,
    }


_COUNTING = """
import sys
from pathlib import Path
from orchestrator.serving.metrics import Metrics
folder, slot, times = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
metrics = Metrics(folder, slot)
for _ in range(times):
    metrics.request("m", "main", "1", "v1", 200, seconds=0.002)
    metrics.timings("m").predict.observe(0.001)
sys.stdout.write(metrics.text().decode())
"""


def test_counts_are_those_of_all_processes_and_of_those_before(tmp_path: Path) -> None:
    def count(slot: int, times: int) -> Samples:
        command = [sys.executable, "-c", _COUNTING, str(tmp_path), str(slot), str(times)]
        return read(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert of(count(0, 3), "requests_total") == 3
    both = count(1, 4)
    assert of(both, "requests_total", model_name="m", code="200") == 7
    assert of(both, "request_seconds_count") == 7
    assert of(both, "request_predict_seconds_bucket", le="+Inf") == 7
    # Another process in the place of the first goes on where that one stopped.
    assert of(count(0, 10), "requests_total") == 17


@pytest.mark.parametrize("junk", [b"{", b'{"instances": []}'])
def test_errors_have_a_kind(served: str, ask: Ask, junk: bytes) -> None:
    before = read(ask(served, "/metrics").text)
    assert ask(served, "/v1/models/mass:predict", junk).status == 400
    assert ask(served, "/v1/models/nobody-knows:predict", junk).status == 404
    after = read(ask(served, "/metrics").text)

    def grew(**labels: str) -> float:
        return of(after, "request_errors_total", **labels) - of(before, "request_errors_total", **labels)

    assert grew(model_name="mass", variant="v1", kind="input") == 1
    assert grew(model_name="", kind="unknown") == 1
    assert "nobody-knows" not in ask(served, "/metrics").text


def test_a_crowd_and_a_late_answer_have_one_too(
    state: Path, slow: Any, declaration: Callable[..., declarations.Declaration], ask: Ask
) -> None:
    declared = declaration("slow", slow, timeout="200ms", concurrency=1)
    local.declare(state, declared)
    url = local.ensure(state).url
    local.wait_ready(url, declared)
    assert ask(url, "/v1/models/slow:predict", {"instances": [[3.0]]}).status == 504
    # Its work cannot be stopped, and keeps the one place there is.
    assert ask(url, "/v1/models/slow:predict", {"instances": [[0.0]]}).status == 503
    assert ask(url, "/v1/models/slow:predict", {"instances": [[-2.0]]}).status in (500, 503)
    found = read(ask(url, "/metrics").text)
    assert of(found, "request_errors_total", model_name="slow", kind="timeout") == 1
    assert of(found, "request_errors_total", model_name="slow", kind="overloaded") >= 1
    assert of(found, "request_seconds_count", model_name="slow") >= 1


def test_a_workers_counts_can_be_read_before_it_counts(tmp_path: Path) -> None:
    """The client makes its files empty at first, and fails to read one: whoever was asked then answered 500."""
    code = """
import sys
from pathlib import Path
from orchestrator.serving.metrics import Metrics
folder = Path(sys.argv[1])
first = Metrics(folder, 0)
first.request("m", "v", "1", "v1", 200, seconds=0.1)
Metrics(folder, 1)
files = sorted(file.name for file in folder.iterdir() if file.stat().st_size)
assert files == ["counter_0.db", "counter_1.db", "histogram_0.db", "histogram_1.db"], files
assert b'requests_total{code="200"' in first.text()
# One that takes the place of another goes on counting.
Metrics(folder, 0).request("m", "v", "1", "v1", 200, seconds=0.1)
assert b'version="1"} 2.0' in first.text()
"""
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True, timeout=60)
