"""Settings: the environment wins over the file, the file over what is usual; mistakes are told."""

from __future__ import annotations

import pytest

from orchestrator import settings
from orchestrator.errors import PipelineError


def test_what_is_usual(tmp_path):
    found = settings.read({}, tmp_path)
    assert found.state == tmp_path / ".orc"
    assert found.workers >= 4
    assert found.tracking_uri == f"sqlite:///{tmp_path}/.orc/mlflow.db"


def test_the_environment_wins_over_the_file(tmp_path):
    (tmp_path / "orc.toml").write_text('state = "kept"\nworkers = 3\n')
    found = settings.read({"ORC_WORKERS": "5"}, tmp_path)
    assert (found.state, found.workers) == (tmp_path / "kept", 5)
    assert settings.read({"ORC_STATE": "/x"}, tmp_path).state.as_posix() == "/x"
    assert settings.read({"MLFLOW_TRACKING_URI": "http://m"}, tmp_path).tracking_uri == "http://m"


def test_the_state_of_a_project_is_found_from_a_folder_inside(tmp_path):
    (tmp_path / ".orc").mkdir()
    (tmp_path / ".orc" / "state.db").touch()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    assert settings.read({}, tmp_path / "deep" / "er").state == tmp_path / ".orc"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("worker = 3", "unknown setting 'worker'\n  hint: did you mean 'workers'?"),
        ("workers = 0", "expected a whole number from 1 to 1024, not '0'"),
        ("workers = 1.5", "expected a whole number"),
        ("workers = [", "cannot be used"),
        (
            'final_status = "COMPLETED"',
            "expected SUCCEEDED or COMPLETE, not 'COMPLETED'\n  hint: did you mean 'COMPLETE'?",
        ),
    ],
)
def test_mistakes_are_told(tmp_path, text, expected):
    (tmp_path / "orc.toml").write_text(text)
    with pytest.raises(PipelineError) as caught:
        settings.read({}, tmp_path)
    assert expected in str(caught.value)


def test_environments_are_shared_unless_the_cache_cannot_be_written(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    assert (
        settings.read({"XDG_CACHE_HOME": str(cache)}, tmp_path).environments == cache / "orchestrator" / "environments"
    )
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    home = tmp_path / "home" / ".cache" / "orchestrator" / "environments"
    assert settings.read({}, tmp_path).environments == home
    cache.write_text("not a folder")
    for unusable in (str(cache), "/proc/1/cache", "relative"):
        read = settings.read({"XDG_CACHE_HOME": unusable}, tmp_path)
        assert read.environments == read.state / "environments"
    (tmp_path / "orc.toml").write_text('environments = "made"\n')
    assert settings.read({}, tmp_path).environments == tmp_path / "made"
    assert settings.read({"ORC_ENVIRONMENTS": "~/e"}, tmp_path).environments == tmp_path / "home" / "e"


@pytest.mark.parametrize("value", ["x", "-1", "0", "\u0661", "9" * 30, "4 "])
def test_a_number_of_workers_is_a_number(tmp_path, value):
    with pytest.raises(PipelineError, match="ORC_WORKERS"):
        settings.read({"ORC_WORKERS": value}, tmp_path)


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "orc.toml").write_bytes(b"\xff")
    with pytest.raises(PipelineError, match=r"orc\.toml: cannot be used"):
        settings.read({}, tmp_path)
