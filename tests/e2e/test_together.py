"""Several at once: first runs of one state folder, and runs that deploy to one endpoint."""

from __future__ import annotations

from typing import Any

from .conftest import BIRD, Make, Project, processes
from .test_killed import waiting


def test_first_runs_at_the_same_time(new: Make) -> None:
    project = new()
    waiting(project)
    started = [project.start("run", "pipeline.yaml", "--arg", f"seconds={n / 10}") for n in range(4)]
    for process in started:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, ""), out + err
    assert [run["status"] for run in project.runs()] == ["SUCCEEDED"] * 4
    assert processes(project.state) == []


def test_two_deployments_to_one_endpoint(penguins: Project) -> None:
    def forest(seed: int) -> str:
        def change(data: dict[str, Any]) -> None:
            data["tasks"]["train"]["arguments"] |= {"algorithm": "random_forest", "seed": seed}
            data["tasks"]["publish"]["arguments"] |= {"name": "forest", "rules": ["f1 > 0.5"]}
            data["tasks"]["evaluate"]["arguments"].pop("baseline")
            data["tasks"]["deploy"]["arguments"]["endpoint"] = penguins.write(
                "forest.endpoint.yaml", serve, "endpoint.yaml"
            )

        return penguins.write(f"forest-{seed}.yaml", change)

    def serve(data: dict[str, Any]) -> None:
        data["metadata"]["name"] = "forest"
        data["variants"] = [{"name": "main", "model": "forest"}]

    started = [penguins.start("run", forest(seed)) for seed in (1, 2)]
    for process in started:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, ""), out + err
        assert '"predictions"' in out
    versions, aliases = penguins.published()["models"]["forest"]
    assert versions == [1, 2]
    assert aliases["champion"] in versions
    assert penguins.predict("forest", BIRD) == ["Gentoo"]
    assert penguins.predict("penguins", BIRD) == ["Gentoo"]
    assert penguins.orc("endpoints", "stop", "forest").code == 0
