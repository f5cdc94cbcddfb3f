"""Pipelines that run by the clock: made, told, paused and removed; each with all its values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import Ended
from tests.kfp.conftest import Remote


def _listed(remote: Remote) -> dict[str, dict[str, object]]:
    return {each["name"]: each for each in json.loads(remote.orc("schedules", "--format", "json").out)}


def test_a_schedule_from_its_beginning_to_its_end(remote: Remote) -> None:
    assert remote.orc("schedules").out.startswith("nothing runs by the clock")
    made = remote.orc("schedules", "create", "pipeline.yaml", "--cron", "0 3 * * *", "-a", "seconds=1")
    assert made.out == "sums: 0 3 * * * (on)\n"
    remote.orc("schedules", "create", "pipeline.yaml", "--every", "6h", "--name", "often", "--paused")
    found = _listed(remote)
    assert {name: each["enabled"] for name, each in found.items()} == {"sums": True, "often": False}
    arguments = found["sums"]["arguments"]
    assert isinstance(arguments, dict)
    assert (arguments["seconds"], arguments["source"].startswith("file://")) == (1.0, True)
    assert Path(arguments["source"].removeprefix("file://")).read_text() == "1\n2\n"
    listed = remote.orc("schedules").out
    assert "every 6 h" in listed
    assert "paused" in listed
    assert remote.orc("schedules", "resume", "often").out == "often: every 6 h (on)\n"
    assert remote.orc("schedules", "pause", "sums").out == "sums: 0 3 * * * (paused)\n"
    # The same once more is the same schedule; another time replaces it.
    remote.orc("schedules", "create", "pipeline.yaml", "--cron", "0 4 * * *")
    assert _listed(remote)["sums"]["trigger"] == "0 0 4 * * *"
    assert len(_listed(remote)) == 2
    assert remote.orc("schedules", "delete", "often").out == "deleted often\n"
    assert set(_listed(remote)) == {"sums"}
    assert "there is no recurring run 'often'" in remote.orc("schedules", "delete", "often", code=4).err


def test_once_at_a_moment(remote: Remote) -> None:
    made = remote.orc("schedules", "create", "pipeline.yaml", "--at", "2099-01-31T06:00:00+00:00")
    assert made.out == "sums: once, at 2099-01-31T06:00:00+00:00 (on)\n"
    (kept,) = remote.server.ask("/apis/v2beta1/recurringruns")["recurringRuns"]
    cron = kept["trigger"]["cron_schedule"]
    assert cron["cron"] == "0 0 6 31 1 *"
    assert cron["start_time"] < "2099-01-31T06:00:00Z" < cron["end_time"] < "2099-01-31T07:00:00Z"


def test_every_parameter_needs_a_value(remote: Remote) -> None:
    path = remote.project.folder / "pipeline.yaml"
    data = yaml.safe_load(path.read_text())
    data["parameters"]["seconds"] = {"type": "number"}
    path.write_text(yaml.safe_dump(data))
    refused = remote.orc("schedules", "create", "pipeline.yaml", "--cron", "0 3 * * *", code=2)
    assert "the parameter 'seconds' has no default and no value" in refused.err
    assert "--arg seconds=VALUE" in refused.err
    assert _listed(remote) == {}
    remote.orc("schedules", "create", "pipeline.yaml", "--cron", "0 3 * * *", "--arg", "seconds=0")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give one of --cron, --every and --at"),
        (("--cron", "0 3 * * *", "--every", "1h"), "give one of --cron, --every and --at"),
        (("--every", "often"), "'often' is not a duration"),
        (("--at", "tomorrow"), "'tomorrow' is no date"),
        (("--at", "2020-01-01"), "that moment has passed"),
        (("--cron", "at three"), "expected five fields, not 'at three'"),
    ],
)
def test_times_that_are_none(remote: Remote, arguments: tuple[str, ...], told: str) -> None:
    ended: Ended = remote.orc("schedules", "create", "pipeline.yaml", *arguments, code=2)
    assert told in ended.err
