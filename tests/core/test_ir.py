"""The IR as values: what it does not know it refuses, with the place; nothing in a file can exhaust the machine."""

from __future__ import annotations

import pytest

from orchestrator import ir
from orchestrator.errors import PipelineError

HEAD = "pipelineInfo: {name: x}\nroot:\n  dag:\n    tasks:\n      t:\n        componentRef: {name: c}\n"
CONSTANT = f"{HEAD}        inputs: {{parameters: {{p: {{runtimeValue: {{constant:\n          "
END = "}}}}\n"


def bomb() -> str:
    lines = ["&a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"&a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    return "[" + ", ".join(lines) + "]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected a pipeline specification, found no document"),
        ("a: 1\n---\nb: 1\n---\nc: 1\n", "found 3 documents"),
        ("[1]", "expected a pipeline specification, not a list"),
        ("root: {}", "missing key 'pipelineInfo'"),
        (HEAD + "        retryPolcy: {}\n", "f:7:9: unknown key 'retryPolcy'\n  hint: did you mean 'retryPolicy'?"),
        (HEAD + "---\nplatform: {}\n", "f:8:1: unknown key 'platform'"),
        (HEAD.replace("{name: c}", "3"), "f:6:23: expected a mapping, not the number 3"),
        ("pipelineInfo: {name: x\n", "f:2:1: not valid YAML"),
        ("pipelineInfo: {name: x}\nroot: {a: " + "[" * 5000, "nested deeper than 100 levels"),
        (CONSTANT + bomb() + END, "expands to more than 2,000,000 values"),
        (CONSTANT + "&a [*a]" + END, "expands to more than"),
        (CONSTANT + "\x00", "not a text file"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text, expected):
    with pytest.raises(PipelineError) as caught:
        ir.load(text, "f")
    assert expected in str(caught.value)


def test_an_alias_is_fine_and_is_written_out():
    spec, _ = ir.load(CONSTANT + "{a: &x [1, 2], b: *x}" + END)
    text = ir.dump(spec)
    assert "&" not in text
    assert ir.load(text)[0] == spec


def test_equal_values_have_equal_digests():
    one, _ = ir.load(HEAD)
    two, _ = ir.load("root: {dag: {tasks: {t: {componentRef: {name: c}}}}}\npipelineInfo: {name: x}")
    assert one == two
    assert ir.digest(one) == ir.digest(two)
    assert ir.digest({"a": 1, "b": [1.0]}) == ir.digest({"b": [1.0], "a": 1})
    assert ir.digest({"a": 1}) != ir.digest({"a": "1"})


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(PipelineError, match="cannot be read"):
        ir.read(tmp_path / "gone.yaml")
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PipelineError, match="not UTF-8"):
        ir.read(tmp_path / "x.yaml")
    assert not ir.recognises(tmp_path / "gone.yaml")
