"""Recurring runs, and the KFP SDK's own client as a judge of the server they are tried on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import ir
from orchestrator.errors import NotFoundError, PipelineError
from orchestrator.runners import kfp
from orchestrator.runners.kfp import Plan
from tests.runners_kfp.conftest import connected
from tests.runners_kfp.server import Server
from tests.runners_kfp.specimens import pipeline, task


def test_a_schedule_is_made_once_changed_switched_and_removed(native: Server, soon: Callable[[float], None]) -> None:
    connection = connected(native)
    plan = Plan("nightly", *pipeline(task("a")), arguments={}, cron="0 3 * * *", concurrency=2)
    native.fail("reset-after", "/recurringruns$", method="POST")
    first = kfp.schedule(connection, plan, sleep=soon)
    assert (first.trigger, first.enabled, first.concurrency, first.catchup) == ("0 0 3 * * *", True, 2, False)
    assert first.arguments == {"word": "hello"}  # Defaults are said, so that they do not change behind its back.
    assert kfp.schedule(connection, plan, sleep=soon).id == first.id
    changed = kfp.schedule(connection, replace(plan, cron="", interval=3600, catchup=True), sleep=soon)
    assert (changed.trigger, changed.catchup) == ("every 3600 s", True)
    assert [each.id for each in kfp.schedules(connection)] == [changed.id]
    assert not kfp.enable(connection, "nightly", on=False).enabled
    assert not kfp.schedules(connection)[0].enabled
    assert kfp.enable(connection, "nightly").enabled
    assert kfp.unschedule(connection, "nightly").id == changed.id
    assert kfp.schedules(connection) == ()
    with pytest.raises(NotFoundError, match="no recurring run 'nightly'"):
        kfp.unschedule(connection, "nightly")
    assert len(native.state.stock.versions) == 1


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, "either a cron expression or an interval"),
        ({"cron": "0 3 * * *", "interval": 60}, "either a cron expression or an interval"),
        ({"cron": "at night"}, "expected five fields"),
        ({"interval": 60, "concurrency": 11}, "expected 1 to 10"),
        ({"interval": 60, "start": 20.0, "end": 10.0}, "it ends before it starts"),
    ],
)
def test_a_plan_that_makes_no_sense(how: dict[str, object], said: str, native: Server) -> None:
    with pytest.raises(PipelineError, match=said):
        kfp.schedule(connected(native), Plan("p", *pipeline(task("a")), arguments={}, **how))  # type: ignore[arg-type]
    assert native.state.asked == []


def test_a_scheduled_run_has_nobody_to_ask(native: Server) -> None:
    spec, platform = pipeline(task("a"))
    needs = spec.root.input_definitions.parameters["word"].model_copy(
        update={"default_value": None, "is_optional": False}
    )
    inputs = spec.root.input_definitions.model_copy(update={"parameters": {"word": needs}})
    spec = spec.model_copy(update={"root": spec.root.model_copy(update={"input_definitions": inputs})})
    with pytest.raises(PipelineError, match="'word' has no default and no value"):
        kfp.schedule(connected(native), Plan("p", spec, platform, {}, interval=60))
    assert native.state.stock.recurring == {}


def test_the_sdks_client_works_with_this_server(server: Server, tmp_path: Path) -> None:
    import kfp as sdk

    package = tmp_path / "pipeline.yaml"
    package.write_text(ir.dump(*pipeline(task("a"), task("b", after=["a"]))))
    with pytest.warns(FutureWarning):
        client = sdk.Client(host=server.url)
    made = client.create_run_from_pipeline_package(str(package), arguments={"word": "x"}, run_name="theirs")
    done = client.wait_for_run_completion(made.run_id, timeout=60, sleep_duration=0.2)
    assert done.state == "SUCCEEDED"
    assert [run.display_name for run in client.list_runs(page_size=5).runs] == ["theirs"]
    uploaded = client.upload_pipeline(str(package), pipeline_name="specimen-theirs")
    assert client.get_pipeline_id("specimen-theirs") == uploaded.pipeline_id
    assert client.list_pipeline_versions(uploaded.pipeline_id).pipeline_versions[0].pipeline_spec["root"]
    if not server.state.stock.native:
        shown = [each.display_name for each in done.run_details.task_details]
        assert {"root", "root-driver", "a", "a-driver", "b", "b-driver", "executor"} < set(shown)
    # And what theirs made, ours finds.
    assert kfp.find(connected(server), "theirs") == made.run_id
