"""What a page says of files is true: they are valid, every key is named, tables are current, links lead somewhere."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel

from components.train import algorithm
from components.validate_schema import schema
from orchestrator import errors, settings, source
from orchestrator.cli import INTERRUPTED, commands
from orchestrator.model import steps
from orchestrator.pipeline import component, kinds, reference, spec
from orchestrator.program import BUG
from orchestrator.runners.events import Status
from orchestrator.serving import endpoint
from tests.conftest import Golden
from tests.docs import markdown, tables
from tests.docs.conftest import DOCS, PAGES, ROOT, Shell
from tests.docs.markdown import Block

OURS = ("docs", "pipelines", "orchestrator", "components", "tests")
MARKDOWN = sorted({*ROOT.glob("*.md"), *(file for top in OURS for file in (ROOT / top).rglob("*.md"))})
YAML = [(page, block) for page in PAGES for block in markdown.blocks(page) if block.language == "yaml"]
WHOLE = [(page, block) for page, block in YAML if block.text.startswith("apiVersion:")]
PARTS = [(page, block) for page, block in YAML if not block.text.startswith("apiVersion:")]


def _called(case: object) -> str:
    return case.name if isinstance(case, Path) else str(case.line) if isinstance(case, Block) else ""


@pytest.mark.parametrize(("page", "block"), WHOLE, ids=_called)
def test_a_whole_file_is_valid(page: Path, block: Block, shell: Shell) -> None:
    for each in markdown.blocks(page):
        # A file may name others of its page, whatever their order.
        if each.file:
            (shell.project / each.file).parent.mkdir(parents=True, exist_ok=True)
            (shell.project / each.file).write_text(each.text, encoding="utf-8")
    file = block.file or f"pipelines/penguins/{page.stem}-{block.line}.yaml"
    (shell.project / file).write_text(block.text, encoding="utf-8")
    ran = shell.run(f"orc validate {file}")
    assert ran.code == 0, f"{page.name}:{block.line}:\n{ran.output}"


@pytest.mark.parametrize(("page", "block"), PARTS, ids=_called)
def test_a_part_of_a_pipeline_file_fits_into_one(page: Path, block: Block) -> None:
    # In the README the reader has seen the whole file; in docs/ what is no file says so.
    assert page.parent != DOCS or block.marks == ("fragment",), f"{page.name}:{block.line}: is neither whole nor marked"
    data = source.parse(block.text, page.name).data
    task = {"component": "ingest"}
    if data.keys() <= {"parameters", "tasks", "finally", "outputs"}:
        head = {"apiVersion": "orchestrator/v1", "kind": "Pipeline", "metadata": {"name": "part"}, "tasks": {"a": task}}
        whole = {**head, **data}
    else:
        head = {"apiVersion": "orchestrator/v1", "kind": "Pipeline", "metadata": {"name": "part"}}
        whole = {**head, "tasks": {"a": {**task, **data}}}
    source.model(spec.Pipeline, source.parse(yaml.safe_dump(whole), f"{page.name}:{block.line}"))


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("pipeline-file.md", spec.Pipeline),
        ("components.md", component.ComponentSpec),
        ("files.md", schema.Schema),
        ("files.md", endpoint.Endpoint),
    ],
)
def test_every_key_of_a_file_is_written_down(name: str, model: type[BaseModel]) -> None:
    assert sorted(set(_keys(model)) - _words(name) - {"both"}) == []


def test_every_word_of_the_language_is_written_down() -> None:
    words = _words("pipeline-file.md")
    assert set(reference.RUN_FIELDS) <= words
    assert set(kinds.PARAMETERS) <= words
    assert set(kinds.ARTIFACTS) <= _words("components.md")


def test_every_option_of_a_run_is_written_down() -> None:
    spans = set(re.findall(r"`(-[a-z-]+)", markdown.prose(DOCS / "running.md")))
    run = vars(typer.main.get_command(commands.app(["run"])))["commands"]["run"]
    options = {name for each in run.params if each.param_type_name == "option" for name in each.opts}
    assert options
    assert options - spans == set()


def test_every_step_and_algorithm_is_written_down() -> None:
    words = _words("components.md")
    assert {*steps.STEPS, *algorithm.ALGORITHMS} <= words
    for step in steps.STEPS.values():
        assert set(step.model_fields) <= words


def test_every_setting_status_and_exit_code_is_written_down() -> None:
    words = _words("files.md")
    # Where a setting comes from is said by the reader of settings, so it is asked for the names it knows.
    names = {field.name for field in dataclasses.fields(settings.Settings)}
    assert names | {f"ORC_{name.upper()}" for name in names} <= words
    assert {str(status) for status in Status} <= words
    raised = [error for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "exit_code")]
    codes = {0, BUG, INTERRUPTED, *(error.exit_code for error in raised)}
    table = (DOCS / "files.md").read_text(encoding="utf-8").partition("## Exit codes")[2]
    assert codes == {int(code) for code in re.findall(r"^\| (\d+) \|", table, flags=re.MULTILINE)}


def test_the_tables_of_the_components_are_current(golden: Golden) -> None:
    page = DOCS / "components.md"
    text = page.read_text(encoding="utf-8")
    assert sorted(tables.named(text)) == sorted(file.parent.name for file in ROOT.glob("components/*/component.yaml"))
    golden(page, tables.renewed(text, ROOT / "components"))


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in markdown.links(page):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in markdown.anchors(file)):
            broken.append(target)
    assert not broken


def _keys(model: type[BaseModel]) -> Iterator[str]:
    """Every key of a file format, those of the mappings inside too."""
    for name, field in model.model_fields.items():
        yield field.alias or name
        for inner in _models(field.annotation):
            yield from _keys(inner)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _models(inner)


def _words(name: str) -> set[str]:
    """The words a page sets as code."""
    spans = re.findall(r"`([^`\n]+)`", markdown.prose(DOCS / name))
    return {word for span in spans for word in re.findall(r"[A-Za-z_]\w*", span)}
