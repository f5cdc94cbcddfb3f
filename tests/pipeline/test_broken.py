"""Whatever a file holds, it compiles or is refused with places; never a traceback, never IR nobody can read."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import ir, source
from orchestrator.errors import PipelineError
from orchestrator.pipeline import load

CORPUS = Path(__file__).parent.parent / "corpus"
COMPONENTS = CORPUS / "components"
FILES = sorted(path for path in CORPUS.glob("*/*.yaml") if "kind: Pipeline" in path.read_text(encoding="utf-8"))
HEAD = "apiVersion: orchestrator/v1\nkind: Pipeline\nmetadata: {name: x}\n"

WORDS = ["", "a", "say", "load", "true", "../x", "inner.yaml", "x.py:y", "1h", "2Gi", "s3://b/x", "\x85", "a" * 300]
WORDS += ["${item}", "${parameters.source}", "${tasks.say.outputs.out}", "${run.status}", "${", "}", "{{$}}", "tasks"]
WORDS += ["${one_of(tasks.say.outputs.out, tasks.say-2.outputs.out)}", "parameters.word == 'a'", "not true"]
texts = st.sampled_from(WORDS)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts, st.text(max_size=5))
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here] if here else []
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            found += paths(each, (*here, key))
    return found


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    document = copy.deepcopy(source.read(draw(st.sampled_from(FILES))).data)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(paths(document)))
        place = document
        for part in path[:-1]:
            place = place[part]
        match draw(st.sampled_from(["replace", "drop", "rename", "add"])):
            case "drop":
                del place[path[-1]]
            case "rename" if isinstance(place, dict):
                place[draw(texts)] = place.pop(path[-1])
            case "add" if isinstance(place, dict):
                words = ["when", "foreach", "after", "default", "type", "timeout", "cache", "finally", "outputs"]
                place[draw(texts | st.sampled_from(words))] = draw(values)
            case _:
                place[path[-1]] = draw(values)
        if not paths(document):
            break
    return document


@settings(max_examples=300, deadline=None)
@given(document=mutated())
def test_compiles_or_says_where_it_is_wrong(document: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("broken")
    for name in ("inner.yaml",):
        (folder / name).write_text((CORPUS / "nested" / name).read_text(encoding="utf-8"), encoding="utf-8")
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    try:
        compiled = load.pipeline(path, [COMPONENTS])
    except PipelineError as error:
        unclear = [problem for problem in error.problems if not (problem.at.file and problem.message)]
    else:
        unclear = []
        assert ir.load(ir.dump(compiled.spec, compiled.platform)) == (compiled.spec, compiled.platform)
    assert not unclear


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\x00\x01\x02\xff\xfe", "not a text file"),
        (b"- a\n- b\n", "expected a mapping"),
        (b"a: [1\n", "not valid YAML"),
    ],
)
def test_refuses_what_is_no_pipeline_at_all(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_bytes(content)
    with pytest.raises(PipelineError, match=message):
        load.pipeline(path, [COMPONENTS])


def test_refuses_a_bomb_of_aliases(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    path.write_text("a0: &a0 [x, x]\n" + levels, encoding="utf-8")
    with pytest.raises(PipelineError, match="expands to more than"):
        load.pipeline(path, [COMPONENTS])


def test_refuses_pipelines_that_use_each_other(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        text = f"{HEAD}tasks:\n  t: {{component: {other}.yaml}}\n"
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PipelineError, match=r"a pipeline cannot use itself: a\.yaml -> b\.yaml -> a\.yaml"):
        load.pipeline(tmp_path / "a.yaml", [COMPONENTS])
