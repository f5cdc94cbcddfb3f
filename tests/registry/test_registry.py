"""Versions, approval, aliases and audit, on a real MLflow database and judged by MLflow's own client."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator import digest, registry
from orchestrator.errors import BackendError, NotFoundError, OrchestratorError
from orchestrator.registry import ModelVersion, Registry

Create = Callable[..., ModelVersion]


def test_mlflow_reads_back_what_was_published(create: Create, judge: Any) -> None:
    create(experiment="birds", tags={"problem": "classification", "a/b:c": "d"}, description="Which bird it is.")
    read = judge.get_model_version_by_alias("penguins", "champion")
    assert read.version in ("1", 1)
    assert read.tags["digest"] == "sha256:a"
    assert (read.tags["approval"], read.tags["approval.by"]) == ("approved", "publish")
    assert read.tags["approval.reason"] == "f1 = 0.97 > 0.85"
    assert (read.tags["orchestrator.run"], read.tags["problem"]) == ("run-a", "classification")
    assert read.description == "Which bird it is."
    run = judge.get_run(read.run_id)
    assert run.data.metrics == {"f1": 0.97}
    assert run.data.params == {"algorithm": "random_forest", "max_depth": "3", "weights": "[1, 2]"}
    assert run.info.status == "FINISHED"
    [measured] = judge.get_metric_history(read.run_id, "f1")  # in milliseconds, as MLflow's REST API wants them
    assert measured.timestamp == run.info.start_time > 1_600_000_000_000
    assert judge.get_experiment(run.info.experiment_id).name == "birds"


def test_the_bytes_outlive_the_folder_they_came_from(
    create: Create, folder: Callable[[str], Path], state: Path
) -> None:
    source = folder("a")
    made = digest.of(source)
    version = create("a")
    shutil.rmtree(source)
    assert version.path == state / "models" / "penguins" / "sha256-a"
    assert digest.of(version.path) == made


def test_mlflow_finds_the_bytes_by_its_own_means(create: Create, judge: Any) -> None:
    from mlflow.artifacts import download_artifacts

    version = create("a")
    source = judge.get_model_version("penguins", "1").source
    assert Path(download_artifacts(artifact_uri=source)) == version.path


def test_a_moved_project_still_finds_its_models(create: Create, state: Path, tmp_path: Path) -> None:
    create("a")
    moved = state.rename(tmp_path / "elsewhere")
    version = registry.open(f"sqlite:///{moved}/mlflow.db").version("penguins@champion")
    assert (version.path / "model.json").is_file()


def test_the_new_champion_leaves_the_old_one_as_previous(
    create: Create, models: Registry, aliases: Callable[[], dict[str, str]]
) -> None:
    for content in "abc":
        create(content)
    assert aliases() == {"champion": "3", "previous": "2"}
    assert [version.aliases for version in models.versions("penguins")] == [(), ("previous",), ("champion",)]


def test_the_same_decision_again_is_the_same_version(create: Create, models: Registry, judge: Any) -> None:
    first = create("a")
    assert create("a") == first
    assert create("a", run="another-run").version == first.version
    assert len(judge.search_model_versions("name='penguins'")) == 1
    assert len(judge.search_runs(["1"])) == 1
    assert [event.run for event in models.audit("penguins") if event.action == "publish"] == ["run-a", "another-run"]


def test_new_numbers_for_the_same_model_are_a_new_decision(create: Create) -> None:
    assert [create("a").version, create("a", metrics={"f1": 0.96}).version] == ["1", "2"]


def test_a_resumed_run_does_not_take_the_alias_from_a_later_one(create: Create, models: Registry) -> None:
    create("a")
    create("b")
    create("a")  # the run that made version 1 is resumed after the run of version 2
    assert models.version("penguins@champion").version == "2"
    create("a", run="rollback")  # another run decides for the old model: that is news
    assert models.version("penguins@champion").version == "1"
    assert models.version("penguins@previous").version == "2"


@pytest.mark.parametrize("ref", ["models:/penguins/1", "models:/penguins@champion", "penguins/1", "penguins@champion"])
def test_a_version_is_found_by_number_and_by_alias(create: Create, models: Registry, ref: str) -> None:
    made = create("a")
    assert models.version(ref) == made
    assert models.version(ref).uri == "models:/penguins/1"


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("pengiuns@champion", "there is no registered model 'pengiuns'\n  hint: did you mean 'penguins'?"),
        ("penguins/7", "there is no model version 'models:/penguins/7'\n  hint: did you mean 'models:/penguins/1'?"),
        ("penguins@chmpion", "there is no model alias 'penguins@chmpion'\n  hint: did you mean 'penguins@champion'?"),
    ],
)
def test_what_is_not_there_is_named_with_what_is_close(create: Create, models: Registry, ref: str, said: str) -> None:
    create("a")
    with pytest.raises(NotFoundError) as error:
        models.version(ref)
    assert str(error.value) == said


@pytest.mark.parametrize("ref", ["penguins", "penguins/0", "penguins/x", "models:/", "a/b/1", "penguins@", "", "x@a@b"])
def test_what_names_no_version_is_refused(models: Registry, ref: str) -> None:
    with pytest.raises(OrchestratorError, match="does not name a model version"):
        models.version(ref)


@pytest.mark.parametrize("changed", [{"alias": "latest"}, {"alias": "v3"}, {"alias": "3"}, {"digest": "../.."}])
def test_nothing_is_written_for_an_alias_or_digest_that_cannot_be(
    create: Create, models: Registry, changed: dict[str, str]
) -> None:
    with pytest.raises(OrchestratorError):
        create("a", **changed)
    assert models.names() == []


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "a'b", ".hidden", "x" * 129])
def test_a_name_that_is_no_folder_is_refused(models: Registry, tmp_path: Path, name: str) -> None:
    with pytest.raises(OrchestratorError, match="cannot name a registered model"):
        models.create(
            name, model=tmp_path, digest="a", metrics={}, parameters={}, tags={}, approval="approved", reason="", run=""
        )


def test_a_damaged_copy_is_mended_by_publishing_again(create: Create, folder: Callable[[str], Path]) -> None:
    version = create("a")
    (version.path / "model.json").write_text("damaged")
    assert digest.of(create("a").path) == digest.of(folder("a"))


def test_a_missing_or_empty_model_makes_no_version(create: Create, models: Registry, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(OrchestratorError, match="empty"):
        create("a", model=tmp_path / "empty")
    with pytest.raises(NotFoundError):
        create("a", model=tmp_path / "nowhere")
    assert models.names() == []


def test_a_full_disk_makes_no_version_and_leaves_no_rest(
    create: Create, models: Registry, folder: Callable[[str], Path], state: Path
) -> None:
    (folder("a") / "large.bin").write_bytes(b"x" * 4_000_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, before[1]))
    try:
        with pytest.raises(BackendError, match=r"cannot copy .* File too large"):
            create("a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (models.versions(), list(state.glob("models/*/*"))) == ([], [])
    assert create("a").version == "1"


def test_numbers_that_mlflow_cannot_hold_are_left_out_and_long_names_cut(create: Create, judge: Any) -> None:
    metrics = {"f1": 0.9, "nan": float("nan"), "top@5": 1.0, **{f"m{number}": float(number) for number in range(250)}}
    version = create("a", metrics=metrics, parameters={"long": "x" * 9000, "none": None})
    assert len(version.metrics) == 252
    assert version.metrics["top_5"] == 1.0
    run = judge.get_run(judge.get_model_version("penguins", "1").run_id)
    assert {name: len(text) for name, text in run.data.params.items()} == {"long": 6000}


def test_a_question_makes_no_database(tmp_path: Path) -> None:
    models = registry.open(f"sqlite:///{tmp_path}/deep/mlflow.db")
    assert (models.names(), models.versions()) == ([], [])
    with pytest.raises(NotFoundError, match="no registered model 'penguins'"):
        models.version("penguins@champion")
    assert list(tmp_path.iterdir()) == []


def test_the_first_publication_makes_the_database_whole_and_says_nothing(
    folder: Callable[[str], Path], tmp_path: Path
) -> None:
    program = (
        "import sys; from pathlib import Path; from orchestrator import registry\n"
        "models = registry.open(sys.argv[1]); assert 'mlflow' not in sys.modules and 'sqlalchemy' not in sys.modules\n"
        "models.create('m', model=Path(sys.argv[2]), digest='d', metrics={}, parameters={}, tags={},\n"
        "              approval='approved', reason='r', run='r', alias='champion')\n"
        "print(models.version('m@champion').version)"
    )
    file = tmp_path / "not" / "there" / "mlflow.db"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, f"sqlite:///{file}", str(folder("a"))],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")},
    )
    assert (done.stdout, done.stderr, done.returncode) == ("1\n", "", 0)
    assert {path.name for path in file.parent.iterdir()} == {"mlflow.db", "mlflow.db.lock", "models"}


def test_two_publications_at_once_are_two_versions(
    create: Create, models: Registry, aliases: Callable[[], dict[str, str]]
) -> None:
    threads = [threading.Thread(target=create, args=(content,)) for content in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(version.digest for version in models.versions()) == ["sha256:a", "sha256:b", "sha256:c", "sha256:d"]
    assert aliases() == {"champion": "4", "previous": "3"}


@pytest.mark.parametrize(
    "uri", ["sqlite://", "sqlite:///:memory:", "mlruns", "file:///tmp/x", "ftp://u:secret@h/x", ""]
)
def test_a_place_that_is_no_registry_is_refused(uri: str) -> None:
    with pytest.raises(OrchestratorError, match="not a place for a model registry") as error:
        registry.open(uri)
    assert "secret" not in str(error.value)


def test_a_database_that_cannot_be_written_is_one_clear_error(create: Create, folder: Callable[[str], Path]) -> None:
    with pytest.raises(BackendError, match=r"cannot write /proc/none/mlflow\.db"):
        registry.open("sqlite:////proc/none/mlflow.db").create(
            "m",
            model=folder("a"),
            digest="d",
            metrics={},
            parameters={},
            tags={},
            approval="approved",
            reason="",
            run="",
        )


def test_a_file_that_is_no_database_is_one_clear_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mlflow.db").write_text("certainly no database\n" * 100)
    with pytest.raises(BackendError, match="not a database"):
        registry.open(f"sqlite:///{tmp_path}/mlflow.db").names()
    assert capfd.readouterr() == ("", "")
