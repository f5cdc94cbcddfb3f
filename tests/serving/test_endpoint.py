from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator import source
from orchestrator.errors import PipelineError
from orchestrator.serving import declarations, endpoint, quantity

HEAD = "apiVersion: orchestrator/v1\nkind: Endpoint\nmetadata: {name: penguins}\n"
ONE = "variants: [{name: main, model: penguins}]\n"
PIPELINES = Path(__file__).parent.parent.parent / "pipelines"


def read(text: str) -> endpoint.Endpoint:
    return endpoint.parse(source.parse(text, "endpoint.yaml"))


@pytest.mark.parametrize("name", ["penguins", "flights"])
def test_the_pipelines_endpoint_files_are_good(name: str) -> None:
    spec = endpoint.read(PIPELINES / name / "endpoint.yaml")
    assert (spec.metadata.name, spec.mode, spec.variants[0].model) == (name, "realtime", name)


def test_defaults_are_written_out_and_read_back() -> None:
    spec = read(HEAD + ONE)
    assert (spec.limits.body_bytes, spec.limits.timeout_seconds, spec.limits.concurrency) == (6 * 1024**2, 60.0, 64)
    plain = endpoint.dump(spec)
    assert endpoint.Endpoint.model_validate_json(json.dumps(plain)) == spec


def test_sections_have_values_that_programs_use() -> None:
    spec = read(
        HEAD
        + "variants: [{model: p}, {name: next, model: p@challenger, shadow: 10}]\n"
        + "mode: serverless\nscaling: {idle: 90s}\nrouting: {key: X-Customer}\n"
        + "capture: {to: s3://bucket/captured, sample: 50, disk: 1Mi}\nbatching: {delay: 2ms}\n"
        + "rollout: {strategy: canary, bake: 5m, alarms: [{metric: p99, above: 500ms}, "
        + "{metric: error_rate, above: 1%}]}\n"
    )
    assert (spec.scaling.min, spec.scaling.idle_seconds) == (0, 90.0)
    assert [(each.weight, each.shadow) for each in spec.variants] == [(1.0, None), (0.0, 10.0)]
    assert spec.routing is not None
    assert spec.routing.key == "x-customer"
    assert spec.capture is not None
    assert spec.capture.disk_bytes == 1024**2
    assert spec.batching is not None
    assert (spec.batching.rows, spec.batching.delay_seconds) == (32, 0.002)
    assert spec.rollout.bake_seconds == 300
    assert [alarm.above for alarm in spec.rollout.alarms] == [0.5, 0.01]
    assert endpoint.Endpoint.model_validate_json(json.dumps(endpoint.dump(spec))) == spec


def test_an_asynchronous_endpoint_is_read_and_written() -> None:
    spec = read(
        HEAD + ONE + "mode: async\nasync: {output: out, timeout: 20m, notify: {failure: 'https://example.org/f'}}\n"
    )
    assert spec.asynchronous is not None
    assert (spec.asynchronous.timeout_seconds, spec.asynchronous.ttl_seconds) == (1200, 6 * 3600)
    assert (spec.asynchronous.body_bytes, spec.scaling.min) == (1024**3, 0)
    assert endpoint.Endpoint.model_validate_json(json.dumps(endpoint.dump(spec))) == spec


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD, "endpoint.yaml:1:1: missing key 'variants'"),
        (HEAD + "variants: []\n", "endpoint.yaml:4:11:"),
        (HEAD + ONE + "varriants: 3\n", "endpoint.yaml:5:1: unknown key 'varriants'\n  hint: did you mean 'variants'?"),
        (
            HEAD + ONE + "mode: async\n",
            "endpoint.yaml:5:7: mode async needs to know where answers go\n  hint: add async",
        ),
        (
            HEAD + ONE + "mode: fast\n",
            "endpoint.yaml:5:7: 'fast' is not a mode\n  hint: write one of: realtime (answers",
        ),
        (HEAD + ONE + "async: {output: out}\n", "endpoint.yaml:5:1: mode realtime queues nothing"),
        (HEAD + ONE + "mode: batch\ncapture: {to: out}\n", "endpoint.yaml:6:1: mode batch has no use for 'capture'"),
        (HEAD + ONE + "scaling: {idle: 1m}\n", "endpoint.yaml:5:11: mode realtime never unloads its model"),
        (HEAD + ONE + "scaling: {target: 200}\n", "scaling.target is a percentage of cpu, not 200"),
        (HEAD + ONE + "capture: {to: out, sample: 0}\n", "endpoint.yaml:5:28:"),
        (HEAD + ONE + "capture: {to: out, inputs: false, outputs: false}\n", "nothing would be captured"),
        (HEAD + ONE + "routing: {key: a b}\n", "endpoint.yaml:5:16: 'a b' is not the name of a header"),
        (
            HEAD + ONE + "routing: {key: Authorization}\n",
            "endpoint.yaml:5:16: 'Authorization' holds a secret\n  hint: name a header that says who",
        ),
        (HEAD + ONE + "routing: {key: cookie}\n", "'cookie' holds a secret"),
        (HEAD + ONE + "routing: {key: proxy-authorization}\n", "'proxy-authorization' holds a secret"),
        (HEAD + ONE + "rollout: {strategy: canary}\n", "a canary rollout without an alarm could never be rolled back"),
        (HEAD + ONE + "rollout: {strategy: linear, alarms: [{metric: p99, above: 1s}]}\n", "add bake: 5m"),
        (HEAD + ONE + "rollout: {alarms: [{metric: p99, above: 1s}]}\n", "nobody looks at the alarms"),
        (HEAD + ONE + "rollout: {prometheus: 'http://me:secret@p'}\n", "an address with a password in it"),
        (HEAD + ONE + "rollout: {prometheus: 'p:9090'}\n", "'p:9090' is not an address of HTTP"),
        (HEAD + ONE + "rollout: {bake: 1m, alarms: [{query: up, below: 1}]}\n", "nobody says where that is"),
        (HEAD + ONE + "rollout: {alarms: [{metric: p99}]}\n", "an alarm has one bound"),
        (
            HEAD + ONE + "rollout: {alarms: [{metric: error_rate, above: 5}]}\n",
            "a share of the requests, and 5 is none",
        ),
        (HEAD + ONE + "rollout: {alarms: [{metric: p99, above: 500}]}\n", "a time of less than 60 s, not 500 s"),
        (HEAD + ONE + "rollout: {alarms: [{metric: p99, above: much}]}\n", "'much' is not a bound"),
        (
            HEAD + "variants: [{model: p}, {name: a, model: q, shadow: 10, weight: 1}]\n",
            "takes no share of the traffic",
        ),
        (HEAD + "variants: [{name: a, model: q, shadow: 10}]\n", "no variant takes any traffic"),
        (
            HEAD + "variants: [{model: p}, {name: a, model: q, shadow: 1}, {name: b, model: q, shadow: 1}]\n",
            "endpoint.yaml:4:11: 2 variants are shadows: a, b",
        ),
        (HEAD + "variants: [{name: main, model: p, weight: -1}]\n", "endpoint.yaml:4:43: a weight is a share"),
        (HEAD + "variants: [{name: main, model: p, weight: .nan}]\n", "endpoint.yaml:4:43:"),
        (HEAD + "variants: [{name: a, model: p, weight: 0}]\n", "endpoint.yaml:4:11: no variant takes any traffic"),
        (HEAD + "variants: [{name: a, model: p}, {name: a, model: q}]\n", "two variants are named 'a'"),
        (HEAD + ONE + "limits: {body: large}\n", "endpoint.yaml:5:16: 'large' is not a size\n  hint: for example"),
        (HEAD + ONE + "limits: {timeout: 3}\n", "endpoint.yaml:5:19: expected text, not the number 3"),
        (HEAD + ONE + "limits: {timeout: 0s}\n", "'0s' is not a length of time"),
        (HEAD + ONE + "limits: {concurrency: 0}\n", "endpoint.yaml:5:23:"),
        (HEAD + ONE + "scaling: {min: 3, max: 2}\n", "scaling.max (2) is below scaling.min (3)"),
        (HEAD.replace("penguins", "Big Penguins") + ONE, "endpoint.yaml:3:18: 'Big Penguins' cannot be a name"),
        (HEAD.replace("Endpoint", "Pipeline") + ONE, "endpoint.yaml:2:7: expected 'Endpoint', not the text 'Pipeline'"),
    ],
)
def test_a_broken_file_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(PipelineError) as caught:
        read(text)
    assert told in str(caught.value)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(PipelineError) as caught:
        read(HEAD + ONE + "mode: async\nlimits: {body: x, timeout: y}\nplacment: {}\n")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("text", "bytes_"), [("512", 512), ("1k", 1000), ("1Ki", 1024), ("6Mi", 6291456), ("1.5GiB", 1610612736)]
)
def test_sizes(text: str, bytes_: int) -> None:
    assert quantity.size(text) == bytes_


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("1.5m", 90), ("1h", 3600)])
def test_times(text: str, seconds: float) -> None:
    assert quantity.seconds(text) == seconds


def test_a_damaged_declaration_says_what_is_wrong(tmp_path: Path) -> None:
    declarations.folder(tmp_path).mkdir()
    declarations.file(tmp_path, "x").write_text("{")
    assert declarations.names(tmp_path) == ["x"]
    with pytest.raises(Exception, match="not an endpoint declaration"):
        declarations.read(tmp_path, "x")
