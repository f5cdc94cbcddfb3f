"""Endpoint files held against what is asked of them: which mode fits, and what the file would refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import source
from orchestrator.serving import endpoint
from orchestrator.serving.advisor import modes, needs, words
from orchestrator.serving.advisor.findings import Finding, Profile, findings
from orchestrator.serving.advisor.needs import Needs
from orchestrator.serving.endpoint import Endpoint

HEAD = "apiVersion: orchestrator/v1\nkind: Endpoint\nmetadata: {name: e}\nvariants: [{model: m}]\n"
MIB = 1 << 20


def spec(text: str = "") -> Endpoint:
    return endpoint.parse(source.parse(HEAD + text, "e.yaml"))


def told(text: str, asked: Needs, profile: Profile = "orchestrator") -> list[tuple[str, str]]:
    return [(each.severity, ".".join(each.path)) for each in findings(spec(text), asked, profile)]


def best(text: str, asked: Needs) -> str | None:
    made = spec(text)
    return modes.best(modes.fits(made, asked), made, asked)


def one(text: str, asked: Needs, path: str, profile: Profile = "orchestrator") -> Finding:
    (found,) = [each for each in findings(spec(text), asked, profile) if ".".join(each.path) == path]
    return found


SHOP = Needs(payload=4000, duration=0.02, rate=needs.rate("300000/h"))
RARE = Needs(payload=4000, duration=1, rate=needs.rate("2/15d"))
NIGHTLY = Needs(payload=200 * MIB, duration=900, rate=needs.rate("500/8h"))
DOCUMENTS = Needs(payload=1024 * MIB, duration=300)
QUEUE = "mode: async\nasync: {output: out"


def test_constant_traffic_is_answered_at_once_by_two_replicas_and_more_if_need_be() -> None:
    """AS-07 and AS-11."""
    assert best("", SHOP) == "realtime"
    assert told("", SHOP) == [("advice", "scaling.min"), ("advice", "scaling.max"), ("advice", "scaling.max")]
    assert told("scaling: {min: 2, max: 6, target: 70}", SHOP) == []
    assert told("scaling: {min: 0, max: 6}", SHOP)[0] == ("fails", "scaling.min")
    assert told("mode: serverless", SHOP) == [("advice", "mode")]


def test_a_model_that_is_hardly_asked_unloads() -> None:
    """AS-08."""
    assert best("", RARE) == "serverless"
    assert told("", RARE) == [("advice", "mode")]
    assert told("mode: serverless", RARE) == []
    priced = Needs(rate=RARE.rate, duration=1, budget=20, price=0.1)
    assert "costs 73.00 a month, and 20.00 may be spent" in one("", priced, "mode").message
    (idle,) = (each for each in modes.fits(spec(), priced) if each.mode == "serverless")
    assert idle.fits
    assert idle.cost == pytest.approx(0.0676, abs=0.001)
    # What serverless cannot do is not advised.
    assert best("resources: {accelerator: {count: 1}}", RARE) == "realtime"


def test_requests_of_fifteen_minutes_are_queued() -> None:
    """AS-09: neither in real time, nor by the default timeout, nor with too few workers."""
    reasons = findings(spec(), NIGHTLY)
    assert [(each.severity, each.path, each.do) for each in reasons] == [("fails", ("mode",), "write mode: async")] * 2
    assert "a request takes 15m, it allows 1m" in reasons[1].message
    assert best("", NIGHTLY) == "async"
    late = one(QUEUE + ", workers: 4}", NIGHTLY, "async.timeout")
    assert (late.severity, late.do) == ("fails", "write timeout: 30m")
    assert "requests of 15m would be given up: each has 15m" in late.message
    few = one(QUEUE + ", timeout: 30m, workers: 15}", NIGHTLY, "async.workers")
    assert (few.severity, few.do) == ("fails", "write workers: 16, or raise scaling.max")
    assert told(QUEUE + ", timeout: 30m, workers: 16, inputs: ['s3://in/']}", NIGHTLY) == []
    assert told(QUEUE + ", timeout: 30m, workers: 4, inputs: ['s3://in/']}\nscaling: {max: 4}", NIGHTLY) == []


def test_large_documents_are_named_not_sent() -> None:
    """AS-10."""
    assert best("", DOCUMENTS) == "async"
    assert told(QUEUE + "}", DOCUMENTS) == [("advice", "async")]
    assert told(QUEUE + "}", DOCUMENTS, "sagemaker") == [("advice", "async"), ("fails", "async")]
    assert told(QUEUE + ", inputs: ['s3://in/']}", DOCUMENTS, "sagemaker") == []
    larger = Needs(payload=1025 * MIB)
    assert best(QUEUE + "}", larger) == "batch"
    assert told(QUEUE + "}", larger) == [("fails", "mode"), ("advice", "async")]


@pytest.mark.parametrize(
    ("memory", "concurrency", "refused"),
    [
        ("4096Mi", 10, []),
        ("4Gi", 200, []),
        ("4000Mi", 10, ["resources.memory"]),
        ("7168Mi", 10, ["resources.memory"]),
        ("512Mi", 201, ["resources.memory", "limits.concurrency"]),
    ],
)
def test_serverless_sizes_of_sagemaker(memory: str, concurrency: int, refused: list[str]) -> None:
    """AS-23."""
    text = f"mode: serverless\nresources: {{memory: {memory}}}\nlimits: {{concurrency: {concurrency}}}"
    assert told(text, Needs(), "sagemaker") == [("fails", path) for path in refused]
    assert told(text, Needs()) == [], "only that platform minds"


def test_the_nearest_size_is_named() -> None:
    hints = {"4000Mi": "4096Mi", "7168Mi": "6144Mi", "1Gi": ""}
    for memory, hint in hints.items():
        found = findings(spec(f"mode: serverless\nresources: {{memory: {memory}}}"), Needs(), "sagemaker")
        assert [each.do for each in found] == ([f"write memory: {hint}"] if hint else [])


@pytest.mark.parametrize(
    ("text", "asked", "expected"),
    [
        ("limits: {body: 7Mi}", Needs(), [("fails", "limits.body")]),
        ("limits: {body: 6Mi, timeout: 60s}", Needs(), []),
        ("limits: {timeout: 2m}", Needs(), [("fails", "limits.timeout")]),
        ("mode: serverless\nlimits: {body: 5Mi}", Needs(), [("fails", "limits.body")]),
        ("mode: serverless\nresources: {accelerator: {count: 1}}", Needs(), [("fails", "mode")]),
        ("mode: batch", Needs(payload=2**40, duration=2e5), []),
        (QUEUE + ", timeout: 61m}", Needs(), [("fails", "async.timeout")]),
        (QUEUE + ", body: 2Gi}", Needs(), [("fails", "async.body")]),
        ("limits: {body: 1Mi}", Needs(payload=2 * MIB), [("fails", "limits.body")]),
        ("limits: {timeout: 5s}", Needs(duration=5), [("fails", "limits.timeout")]),
        ("", Needs(concurrency=65), [("fails", "limits.concurrency")]),
        ("scaling: {max: 2}", Needs(concurrency=65), []),
        ("", Needs(payload=6 * MIB), []),
        ("", Needs(payload=6 * MIB + 1), [("fails", "mode")]),
        ("", Needs(duration=60.5), [("fails", "mode")]),
    ],
)
def test_the_file_against_the_limits(text: str, asked: Needs, expected: list[tuple[str, str]]) -> None:
    assert told(text, asked) == expected


def test_two_variants_are_one_too_many_for_serverless() -> None:
    text = HEAD.replace("[{model: m}]", "[{name: a, model: m}, {name: b, model: m/1}]") + "mode: serverless"
    made = endpoint.parse(source.parse(text, "e.yaml"))
    (found,) = findings(made, Needs())
    assert "the file has 2 variants, it serves one" in found.message
    assert found.do == "write mode: realtime"


@pytest.mark.parametrize(
    ("text", "value"),
    [("20/s", 20), ("3600/h", 1), ("500/8h", 500 / 28800), ("2/30d", 2 / 2592000), ("1.5 / m", 0.025)],
)
def test_rates(text: str, value: float) -> None:
    assert needs.rate(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "20", "20/", "/s", "20/0s", "-1/s", "20/w", "1e9/s"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        needs.rate(text)


@given(st.floats(0.001, 1e4), st.floats(0.001, 1e5))
def test_workers_keep_up(rate: float, duration: float) -> None:
    workers = Needs(rate=rate, duration=duration).workers
    assert workers is not None
    assert workers >= rate * duration - 1e-6
    assert workers <= max(1, rate * duration + 1)


@given(
    st.builds(
        Needs,
        payload=st.none() | st.integers(0, 2**41),
        duration=st.none() | st.floats(1e-4, 1e6),
        rate=st.none() | st.floats(1e-7, 1e5),
        budget=st.none() | st.floats(0, 1e6),
        price=st.none() | st.floats(0, 100),
    )
)
def test_the_best_mode_is_one_that_fits(asked: Needs) -> None:
    made = spec()
    found = modes.fits(made, asked)
    named = modes.best(found, made, asked)
    possible = [each.mode for each in found if each.fits]
    assert named in possible if possible else named is None
    findings(made, asked, "sagemaker")


def test_numbers_are_written_as_in_files() -> None:
    assert [words.size(each) for each in (12, 2048, 6 * MIB, 1536 * MIB)] == ["12", "2Ki", "6Mi", "1.5Gi"]
    assert [words.time(each) for each in (0.02, 1.5, 900, 3600, 172800)] == ["20ms", "1.5s", "15m", "1h", "2d"]


def lint(tmp_path: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "e.yaml").write_text(HEAD + text)
    command = [sys.executable, "-m", "orchestrator", "endpoint", "lint", "e.yaml", *arguments]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)


def test_the_command_says_where_what_and_which_mode(tmp_path: Path) -> None:
    done = lint(tmp_path, "mode: realtime\n", "--duration", "15m", "--rate", "500/8h")
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.splitlines() == [
        "e.yaml:5:7: fails",
        "    mode realtime does not fit: a request takes 15m, it allows 1m",
        "    do: write mode: async",
        "",
        "mode        fits  busy        why not",
        "realtime    no    16 at once  a request takes 15m, it allows 1m",
        "serverless  no    16 at once  a request takes 15m, it allows 1m",
        "async       yes   16 at once  -",
        "batch       yes   16 at once  -",
        "best: async, it queues requests and writes answers to files",
    ]


def test_the_command_for_machines(tmp_path: Path) -> None:
    done = lint(tmp_path, "", "--rate", "20/s", "--format", "json")
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == 0, "advice fails nothing"
    assert found["best"] == "realtime"
    assert {each["severity"] for each in found["findings"]} == {"advice"}
    assert [each["mode"] for each in found["modes"]] == ["realtime", "serverless", "async", "batch"]


@pytest.mark.parametrize(
    ("arguments", "text", "message"),
    [
        (["--rate", "often"], "", "'often' is not a rate"),
        (["--payload", "big"], "", "'big' is not a size"),
        (["--duration", "long"], "", "'long' is not a length of time"),
        (["--budget", "5"], "", "add --price"),
        ([], "mode: sometimes\n", "e.yaml:5:7: 'sometimes' is not a mode"),
    ],
)
def test_what_the_command_refuses(tmp_path: Path, arguments: list[str], text: str, message: str) -> None:
    done = lint(tmp_path, text, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
