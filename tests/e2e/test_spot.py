"""A training on a machine that is taken away: killed in the middle, it goes on from its last checkpoint (AS-19)."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

from .conftest import Make, Project, eventually


def test_a_training_that_is_evicted_goes_on(new: Make) -> None:
    project = new("penguins")

    def change(data: dict[str, Any]) -> None:
        train = data["tasks"]["train"]
        train["arguments"] |= {"algorithm": "gradient_boosting", "hyperparameters": {"max_iter": 200}}
        train |= {"placement": {"spot": True}, "checkpoints": True, "retry": {"attempts": 2}}
        data["tasks"] = {name: data["tasks"][name] for name in ("ingest", "train")}
        del train["arguments"]["transform"], data["finally"], data["outputs"], data["parameters"]["min_f1"]

    with project.start("run", project.write("spot.yaml", change)) as process:
        eventually(lambda: bool(_kept(project)), "a checkpoint", 120)
        (state,) = _kept(project)
        done, pid = Path(json.loads(state.read_text())["file"]).stem.split("-")
        os.kill(int(pid), signal.SIGKILL)
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    task = project.tasks()["train"]
    assert task["status"] == "SUCCEEDED", task
    log = project.orc("logs", "last", "train").out
    went = re.search(r"went on after (\d+) trees of an earlier attempt: (\d+) % of [\d.]+ s saved", log)
    assert went, log
    assert int(went[1]) >= int(done)
    assert _kept(project) == [], "what is done is not kept"


def _kept(project: Project) -> list[Path]:
    return list(project.state.glob("volumes/orchestrator-checkpoints/penguins/train/*/state.json"))
