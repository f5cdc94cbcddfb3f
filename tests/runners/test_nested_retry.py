"""A nested pipeline is tried again as a whole."""

from __future__ import annotations

import pytest

# Fails until its file has seen it three times.
FLAKY = (
    "n = len(open(os.environ['TRACE']).readlines()) if os.path.exists(os.environ['TRACE']) else 0;"
    " trace('x'); n < 2 and sys.exit('error: not yet'); put('out', str(n))"
)


@pytest.fixture
def nested(project):
    project.component("flaky", FLAKY, outputs={"out": {"type": "integer"}})
    project.pipeline(
        """
tasks:
  first: {component: flaky, cache: false}
  second: {component: flaky, cache: false, after: [first]}
outputs: {n: "${tasks.second.outputs.out}"}
""",
        "inner.yaml",
        "inner",
    )

    def pipeline(attempts):
        project.pipeline(f"""
tasks:
  part: {{component: inner.yaml, retry: {{attempts: {attempts}}}}}
outputs: {{n: "${{tasks.part.outputs.n}}"}}
""")
        return project

    return pipeline


def test_until_it_succeeds(nested):
    ran = nested(3).run()
    assert ran.status == "SUCCEEDED"
    assert ran.outputs == {"n": 3}
    assert ran.started == ["part/first", "part/first", "part/first", "part/second"]
    assert [(each.task.name, each.attempt, each.reason) for each in ran.retried] == [
        ("part", 1, "part/first: not yet"),
        ("part", 2, "part/first: not yet"),
    ]


def test_no_more_often_than_asked(nested):
    ran = nested(2).run()
    assert ran.status == "FAILED"
    assert ran.end.reason == "part/first: not yet"
    assert ran.started == ["part/first", "part/first"]
    assert ran.statuses == {"part/first": "FAILED", "part/second": "UNSCHEDULABLE"}
