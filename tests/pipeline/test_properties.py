"""Laws of the compiler: the same in, the same out; the order of keys in a file means nothing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import ir
from orchestrator.pipeline import graph, load

CORPUS = Path(__file__).parent.parent / "corpus"
COMPONENTS = CORPUS / "components"


@st.composite
def pipelines(draw: st.DrawFn) -> dict[str, Any]:
    """A pipeline of `say` tasks with data, order, conditions, loops and texts between them."""
    count = draw(st.integers(1, 7))
    names = draw(st.permutations([f"task-{index}" if index % 2 else f"Task_{index}" for index in range(count)]))
    tasks: dict[str, Any] = {}
    plain: list[str] = []
    for name in names:
        sources = ["hello", "${parameters.word}", "it's ${parameters.number}, ${parameters.word}", "${run.name}"]
        sources += [f"${{tasks.{each}.outputs.out}}" for each in plain]
        task: dict[str, Any] = {"component": "say", "arguments": {"text": draw(st.sampled_from(sources))}}
        if draw(st.booleans()):
            task["arguments"]["items"] = [1, {"b": "${parameters.word}", "a": [True]}]
        if plain and draw(st.booleans()):
            task["after"] = draw(st.lists(st.sampled_from(plain), unique=True, max_size=3))
        if draw(st.booleans()):
            task["when"] = draw(st.sampled_from(["${parameters.number} > 2.5", "parameters.word in ['a', \"b'\"]"]))
        if draw(st.booleans()):
            task["foreach"] = draw(st.sampled_from([["x", "y"], "${parameters.list}"]))
            task["arguments"]["text"] = "${item}"
        else:
            plain.append(name)
        task |= draw(st.sampled_from([{}, {"retry": 2}, {"cache": {"ttl": "1d"}}, {"env": {"B": 1, "A": "x"}}]))
        tasks[name] = task
    final = {"last": {"component": "tell", "arguments": {"status": "${run.status}"}}} if draw(st.booleans()) else {}
    return {
        "apiVersion": "orchestrator/v1",
        "kind": "Pipeline",
        "metadata": {"name": "drawn", "labels": draw(st.sampled_from([{}, {"b": "1", "a": "2"}]))},
        "parameters": {"word": "x", "number": 3, "list": ["p", "q"]},
        "tasks": tasks,
        "finally": final,
        "outputs": {"out": f"${{tasks.{names[0]}.outputs.out}}"},
    }


def compiled(document: dict[str, Any], folder: Path) -> str:
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    found = load.pipeline(path, [COMPONENTS])
    text = ir.dump(found.spec, found.platform)
    assert ir.load(text) == (found.spec, found.platform)
    return text


def shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {key: shuffled(value[key], chance) for key in keys}
    return [shuffled(each, chance) for each in value] if isinstance(value, list) else value


@settings(max_examples=60, deadline=None)
@given(document=pipelines(), seed=st.integers())
def test_compiling_is_deterministic_and_blind_to_key_order(
    document: dict[str, Any], seed: int, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    assert compiled(shuffled(document, random.Random(seed)), folder) == compiled(document, folder)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.integers(0, 12).map(str), st.sets(st.integers(0, 12).map(str))))
def test_order_follows_every_need_or_a_cycle_is_shown(drawn: dict[str, set[str]]) -> None:
    needs = {name: found & drawn.keys() for name, found in drawn.items()}
    cycles = graph.cycles(needs)
    for cycle in cycles:
        for name, need in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            assert need in needs[name]
    if not cycles:
        place = {name: index for index, name in enumerate(graph.order(needs))}
        assert all(place[need] < place[name] for name in needs for need in needs[name])
