"""Pictures of pipelines: readable in a terminal, well formed as SVG, nothing on top of anything else."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from pathlib import Path

import pytest

from orchestrator import ir
from orchestrator.pipeline import load, picture, python
from orchestrator.pipeline.picture import layout
from orchestrator.pipeline.picture.boxes import Box
from orchestrator.pipeline.picture.layout import Placed

CORPUS = Path(__file__).parent.parent / "corpus"
KFP = CORPUS.with_name("corpus_kfp")
COMPONENTS = CORPUS / "components"
CASES = sorted(path.parent for path in CORPUS.glob("*/pipeline.yaml"))


def compiled(case: Path) -> load.Compiled:
    return load.pipeline(case / "pipeline.yaml", [COMPONENTS])


def drawn(case: Path, statuses: Mapping[str, str] | None = None) -> Box:
    return picture.of(compiled(case).definition, statuses)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_draws_in_a_terminal(case: Path, golden: Callable[[Path, str], None]) -> None:
    text = picture.text(drawn(case))
    assert max(map(len, text.splitlines())) <= 80
    golden(case / "picture.txt", text)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_svg_is_well_formed_and_stands_alone(case: Path) -> None:
    text = picture.svg(drawn(case))
    tree = ET.fromstring(text)
    names = {each.text for each in tree.iter("{http://www.w3.org/2000/svg}text")}
    assert {name for name, use in compiled(case).definition.uses.items() if use.component} <= names | heads(names)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def heads(names: set[str | None]) -> set[str]:
    """The names of nested pipelines, which stand in the heading of their frame."""
    return {str(name).split(" · ", maxsplit=1)[0] for name in names}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_box_covers_another_and_all_lie_inside(case: Path) -> None:
    for frame in frames(layout.place(drawn(case))):
        for one, other in combinations(frame.inside, 2):
            beside = one.x + one.width <= other.x or other.x + other.width <= one.x
            above = one.y + one.height <= other.y or other.y + other.height <= one.y
            assert beside or above, (one.box.name, other.box.name)
        for each in frame.inside:
            assert each.x >= 0
            assert each.x + each.width <= frame.width
            assert each.y + each.height <= frame.height


def frames(placed: Placed) -> Iterator[Placed]:
    yield placed
    for each in placed.inside:
        yield from frames(each)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_specification_is_drawn_with_the_tasks_of_its_file(case: Path) -> None:
    whole = picture.specification.of(ir.read(case / "pipeline.ir.yaml")[0])
    text = picture.text(whole)
    assert max(map(len, text.splitlines())) <= 80
    assert {name for name in compiled(case).definition.uses if f" {name}" not in text} == set()
    ET.fromstring(picture.svg(whole))


@pytest.mark.parametrize("name", ["conditions-branches", "exit-handlers", "loops-fields"])
def test_a_pipeline_in_python_is_drawn(
    name: str, golden: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(KFP))
    pipeline, _ = python.compile(KFP / name / "pipeline.py", "")
    golden(KFP / name / "picture.txt", picture.text(picture.specification.of(pipeline)))
    ET.fromstring(picture.svg(picture.specification.of(pipeline)))


def test_statuses_are_known_by_the_paths_of_the_ir() -> None:
    statuses = {"load": "SUCCEEDED", "fit": "SKIPPED", "measure": "FAILED", "condition-1/say-2": "NOT_TRIGGERED"}
    text = picture.text(drawn(CORPUS / "chain", statuses))
    marks = {line.split()[-2]: line for line in text.splitlines()[1:4]}
    assert "✔" in text.splitlines()[1]
    assert "↺" in marks["fit"]
    assert "✘" in text
    assert "∅ say-2" in text
    assert "var(--FAILED)" in picture.svg(drawn(CORPUS / "chain", statuses))


def test_of_a_loops_iterations_the_worst_is_shown() -> None:
    statuses = {"for-loop-1/0/say-3": "FAILED", "for-loop-1/1/say-3": "SUCCEEDED"}
    assert "✘" in picture.text(drawn(CORPUS / "loop", statuses))


def test_text_of_the_file_cannot_break_out_of_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(
        "apiVersion: orchestrator/v1\nkind: Pipeline\nmetadata: {name: x, description: <script>alert(1)</script>}\n"
        "parameters: {a: b}\ntasks:\n  t: {component: say, arguments: {text: a}, when: \"parameters.a == '<b>&'\"}\n",
        encoding="utf-8",
    )
    text = picture.html(picture.of(load.pipeline(path, [COMPONENTS]).definition))
    assert "<script>" not in text
    assert "&lt;b&gt;&amp;" in text
