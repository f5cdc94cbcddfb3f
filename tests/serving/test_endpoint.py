from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import source
from orchestrator.errors import PipelineError
from orchestrator.serving import declarations, endpoint

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
    assert endpoint.Endpoint.model_validate_json(__import__("json").dumps(plain)) == spec


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD, "endpoint.yaml:1:1: missing key 'variants'"),
        (HEAD + "variants: []\n", "endpoint.yaml:4:11:"),
        (HEAD + ONE + "varriants: 3\n", "endpoint.yaml:5:1: unknown key 'varriants'\n  hint: did you mean 'variants'?"),
        (HEAD + ONE + "mode: async\n", "endpoint.yaml:5:7: mode 'async' asks for a queue of requests"),
        (HEAD + ONE + "mode: fast\n", "endpoint.yaml:5:7: 'fast' is not a mode\n  hint: write realtime"),
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
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    ("text", "bytes_"), [("512", 512), ("1k", 1000), ("1Ki", 1024), ("6Mi", 6291456), ("1.5GiB", 1610612736)]
)
def test_sizes(text: str, bytes_: int) -> None:
    assert endpoint.size(text) == bytes_


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("1.5m", 90), ("1h", 3600)])
def test_times(text: str, seconds: float) -> None:
    assert endpoint.seconds(text) == seconds


def test_a_damaged_declaration_says_what_is_wrong(tmp_path: Path) -> None:
    declarations.folder(tmp_path).mkdir()
    declarations.file(tmp_path, "x").write_text("{")
    assert declarations.names(tmp_path) == ["x"]
    with pytest.raises(Exception, match="not an endpoint declaration"):
        declarations.read(tmp_path, "x")
