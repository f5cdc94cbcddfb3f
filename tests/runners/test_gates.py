"""A gate that says no: the run succeeded, and its status says what was decided."""

from __future__ import annotations

import contextlib

import pytest

from orchestrator.errors import RunError
from orchestrator.runners.events import Status


@pytest.fixture
def gated(project):
    project.component(
        "decide",
        "import json; e = json.loads(a['executor_input']); f = e['outputs']['outputFile']; put('out', a['said'])\n"
        "m = {'decision': a['said'], 'reason': 'f1 = ' + a['f1']}; item = {'name': 'out', 'metadata': m}\n"
        "open(f, 'w').write(json.dumps({'artifacts': {'out': {'artifacts': [item]}}}))",
        {"said": "string", "f1": {"type": "string", "default": "0.8"}},
        {"out": "orchestrator.Decision"},
        executorInput=True,
    )
    return project


@pytest.mark.parametrize(
    ("said", "status", "reason"),
    [
        (["published"], "SUCCEEDED", ""),
        (["rejected"], "REJECTED", "f1 = 0.8"),
        (["undecided"], "UNDECIDED", "f1 = 0.8"),
        (["published", "rejected"], "REJECTED", "f1 = 0.8"),
        (["rejected", "undecided", "rejected"], "UNDECIDED", "f1 = 0.8"),
    ],
)
def test_the_runs_status_says_what_was_decided(gated, said, status, reason):
    tasks = "".join(f"  t{i}: {{component: decide, arguments: {{said: {each}}}}}\n" for i, each in enumerate(said))
    gated.pipeline(f"tasks:\n{tasks}")
    for _ in range(2):  # From the cache, the same is decided again.
        ran = gated.run()
        assert (ran.status, ran.end.reason) == (status, reason)
    with contextlib.closing(gated.metadata()) as metadata:
        assert metadata.run("last").status == status


def test_a_failure_outweighs_a_gate(gated):
    gated.pipeline("tasks: {a: {component: decide, arguments: {said: rejected}}, b: {component: fail}}\n")
    assert gated.run().status is Status.FAILED


def test_a_resumed_run_remembers_its_gate_and_a_rejected_one_is_complete(gated):
    gated.component("once", "trace('x'); sys.exit(len(open(os.environ['TRACE']).readlines()) < 2)")
    gated.pipeline("tasks: {a: {component: decide, arguments: {said: rejected}}, b: {component: once, after: [a]}}\n")
    assert gated.run().status is Status.FAILED
    assert gated.resume().status is Status.REJECTED
    with pytest.raises(RunError, match="is complete: rejected"):
        gated.resume()
