"""What `orc check` says of files that break each rule: what, where, how bad, on which target."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator import ir, portability
from orchestrator.pipeline import load
from orchestrator.portability import RULES, TARGETS, Remark, Severity
from orchestrator.runs import checked
from tests.conftest import Golden

CASES = Path(__file__).parent / "cases"
FILES = [*sorted(CASES.glob("*.ir.yaml")), *sorted(CASES.glob("*/pipeline.yaml"))]
ROOT = Path(__file__).parents[2]
HEAD = {"schemaVersion": "2.1.0", "pipelineInfo": {"name": "made"}, "deploymentSpec": {}}


def told(file: Path) -> str:
    """A report as lines: target, severity, rule, place, tasks, words."""
    lines = []
    for each in checked.check(file, list(TARGETS.values())):
        remark = each.remark
        place = f"{Path(each.at.file).name}:{each.at.line}:{each.at.column}"
        about = ", ".join(remark.tasks) or "-"
        first = f"{remark.target.name} {remark.rule.severity} {remark.rule.name} {place} [{about}]"
        lines.append(f"{first} {remark.what} > {remark.do}")
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name if file.parent != CASES else file.name)
def test_a_case_is_told_as_it_was_agreed(file: Path, golden: Golden) -> None:
    golden(file.with_name(file.name.partition(".")[0] + ".txt"), told(file))


def _made(tasks: int = 1, **more: object) -> list[Remark]:
    """The remarks on a pipeline of equal tasks, for the newest cluster."""
    dag = {f"task-{number}": {"componentRef": {"name": "comp-say"}} for number in range(tasks)}
    text = json.dumps(
        {
            **HEAD,
            "components": {"comp-say": {"executorLabel": "exec-say"}},
            "deploymentSpec": {"executors": {"exec-say": {"container": {"image": "x"}}}},
            "root": {"dag": {"tasks": dag}},
            **more,
        }
    )
    return portability.remarks(*ir.load(text), [TARGETS["kfp-2.17"]])


def test_what_is_too_large_or_too_long_is_told() -> None:
    assert _made() == []
    (large,) = _made(tasks=9000)
    assert large.rule.name == "large"
    assert large.rule.severity is Severity.FAILS
    assert "MiB, and Kubernetes takes 1.5 MiB" in large.what
    (named,) = _made(pipelineInfo={"name": "n" * 129})
    assert named.what == "the pipeline's name has 129 letters, and at most 128 are taken"
    dag = {"tasks": {"t" * 130: {"componentRef": {"name": "comp-say"}}}}
    (task,) = _made(root={"dag": dag})
    assert (task.rule.name, task.tasks) == ("long-names", ("t" * 130,))
    parameters = {"words": {"parameterType": "STRING", "defaultValue": "w" * 10_000}}
    (payload,) = _made(root={"inputDefinitions": {"parameters": parameters}, "dag": {"tasks": {}}})
    assert payload.rule.name == "payload"


def test_every_rule_has_a_case() -> None:
    seen = {line.split()[2] for file in CASES.rglob("*.txt") for line in file.read_text().splitlines()}
    in_code = {"large", "long-names", "payload"}
    assert {rule.name for rule in RULES} - seen == in_code


def test_a_rule_holds_for_the_versions_it_says() -> None:
    names = {
        target.name: {rule.name for rule in RULES if rule.holds(target)}
        & {"if-present", "if-present-artifact", "mounts"}
        for target in TARGETS.values()
    }
    assert names == {
        "local": {"mounts"},
        "kfp-2.15": {"if-present"},
        "kfp-2.16": {"if-present"},
        "kfp-2.17": {"if-present-artifact"},
    }
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("condition", ["'a' == 'it\\'s'", '"a\'b" == x', "x == 'a' && y == ''", "1 == 2"])
def test_quotes_that_pair_are_no_remark(condition: str) -> None:
    task = {"componentRef": {"name": "comp-say"}, "triggerPolicy": {"condition": condition}}
    assert _made(root={"dag": {"tasks": {"say": task}}}) == []


@pytest.mark.parametrize("condition", ["x == 'it's'", "x == 'a'b'c'", "'", "x == 'a''b'"])
def test_quotes_that_do_not_pair_are_told(condition: str) -> None:
    task = {"componentRef": {"name": "comp-say"}, "triggerPolicy": {"condition": condition}}
    (remark,) = _made(root={"dag": {"tasks": {"say": task}}})
    assert remark.rule.name == "condition-quotes"


@pytest.mark.parametrize("name", ["penguins", "flights"])
def test_our_examples_are_the_same_on_every_cluster(name: str) -> None:
    compiled = load.pipeline(ROOT / "pipelines" / name / "pipeline.yaml")
    clusters = [target for target in TARGETS.values() if not target.is_local]
    assert [each.what for each in portability.remarks(compiled.spec, compiled.platform, clusters)] == []
    here = portability.remarks(compiled.spec, compiled.platform, [TARGETS["local"]])
    assert Severity.FAILS not in {each.rule.severity for each in here}
