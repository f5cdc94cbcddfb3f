"""`orc build` with a program that stands for Docker, and a registry of the tests: what is built, pushed and locked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

PUSHED = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"


def lock(project, name="pipeline.lock.yaml"):
    return yaml.safe_load((project.folder / name).read_text())["images"]


@pytest.fixture
def file(project):
    project.component("mine")
    return project.pipeline("mine")


def test_an_image_is_built_once_and_locked(project, file, engine, orc, capsys):
    assert orc("build", file, "--engine", engine.program) == 0
    held = lock(project)["own/mine"]
    assert held["reference"] == f"own/mine:{held['key']}"
    (built,) = engine.builds()
    assert f"--tag=own/mine:{held['key']}" in built
    assert "--target=component" in built
    assert "--label=org.opencontainers.image.description=What mine is for." in built
    assert (engine.folder / "context/code/components/mine/__main__.py").stat().st_mode & 0o777 == 0o644
    said = capsys.readouterr().out
    assert "own/mine: installing packages\n" in said
    assert "on this machine alone" in said
    engine.forget()
    assert orc("build", file, "--engine", engine.program) == 0
    assert engine.builds() == []
    assert "own/mine: unchanged" in capsys.readouterr().out
    project.component("mine", __main___dot_py="x = 1\n")
    assert orc("build", file, "--engine", engine.program) == 0
    assert len(engine.builds()) == 1
    assert lock(project)["own/mine"]["key"] != held["key"]


def test_rebuild_builds_what_is_there_on_the_newest_base(file, engine, orc):
    orc("build", file, "--engine", engine.program)
    assert orc("build", file, "--engine", engine.program, "--rebuild") == 0
    assert "--no-cache --pull" in engine.builds()[1]


def test_what_is_pushed_is_locked_by_the_digest_of_the_registry(project, file, engine, registry, orc):
    assert orc("build", file, "--engine", engine.program, "--push", "--registry", f"{registry.host}/team") == 0
    held = lock(project)["own/mine"]
    assert held["reference"] == f"{registry.host}/team/own/mine@{PUSHED}"
    assert f"push {registry.host}/team/own/mine:{held['key']}" in engine.told


def test_what_the_registry_has_is_neither_built_nor_pushed(project, file, engine, registry, orc):
    orc("build", file, "--engine", engine.program, "--dry-run", "--format", "json")
    orc("build", file, "--engine", engine.program)
    key = lock(project)["own/mine"]["key"]
    engine.forget()
    registry.digests[f"own/mine:{key}"] = "sha256:" + "a" * 64
    assert orc("build", file, "--engine", engine.program, "--push", "--registry", registry.host) == 0
    assert lock(project)["own/mine"]["reference"] == f"{registry.host}/own/mine@sha256:{'a' * 64}"
    assert [line for line in engine.told if line.startswith(("build ", "push "))] == []


def test_what_was_built_for_this_machine_is_pushed_as_it_is(project, file, engine, registry, orc):
    orc("build", file, "--engine", engine.program)
    engine.forget()
    assert orc("build", file, "--engine", engine.program, "--push", "--registry", registry.host) == 0
    assert engine.builds() == []
    key = lock(project)["own/mine"]["key"]
    assert f"tag own/mine:{key} {registry.host}/own/mine:{key}" in engine.told
    assert f"push {registry.host}/own/mine:{key}" in engine.told


def test_more_tags_are_pushed_too(file, engine, registry, orc):
    assert orc("build", file, "--engine", engine.program, "--push", "--registry", registry.host, "--tag", "v1") == 0
    assert f"push {registry.host}/own/mine:v1" in engine.told


def test_images_of_others_stay_and_are_pinned_where_a_registry_knows_them(project, engine, registry, orc, capsys):
    registry.digests["acme/tool:3"] = PUSHED
    project.component("known", image=f"{registry.host}/acme/tool:3")
    project.component("other", image=f"{registry.host}/acme/none:1")
    assert orc("build", project.pipeline("known", "other"), "--engine", engine.program) == 0
    assert lock(project) == {f"{registry.host}/acme/tool:3": {"reference": f"{registry.host}/acme/tool@{PUSHED}"}}
    assert "none:1: kept as it is, by its name" in capsys.readouterr().out
    assert engine.builds() == []


def test_packages_and_base_are_kept_until_told_otherwise(project, file, engine, orc):
    run = ["build", file, "--engine", engine.program]
    assert orc(*run, "--with", "mine=xgboost==3.2", "--base", "localhost/python:3.11") == 0
    first = lock(project)["own/mine"]
    assert first["packages"] == ["xgboost==3.2"]
    assert "xgboost==3.2" in (engine.folder / "context/requirements.txt").read_text()
    assert orc(*run) == 0
    assert lock(project)["own/mine"] == first
    assert orc(*run, "--with", "mine=") == 0
    assert "packages" not in lock(project)["own/mine"]


def test_servers_and_components_are_built_by_name_into_a_lock_of_ones_own(project, engine, orc):
    project.component("mine")
    assert orc("build", "server", "mlflow", "train", "mine", "--lock", "all.lock.yaml", "--engine", engine.program) == 0
    names = list(lock(project, "all.lock.yaml"))
    assert names == ["orchestrator/mlflow", "orchestrator/server", "orchestrator/train", "own/mine"]
    assert orc("build", "report", "--lock", "all.lock.yaml", "--engine", engine.program) == 0
    assert list(lock(project, "all.lock.yaml")) == sorted([*names, "orchestrator/report"])


def test_json_is_for_machines(file, engine, orc, capsys):
    assert orc("build", file, "--engine", engine.program, "--format", "json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["image"], told["pushed"], told["how"], told["bytes"]) == ("own/mine", False, "built", 1500000)


def test_a_dry_run_touches_nothing(project, file, orc, capsys):
    assert orc("build", file, "--dry-run") == 0
    assert "own/mine" in capsys.readouterr().out
    assert not (project.folder / "pipeline.lock.yaml").exists()


def test_what_a_build_may_see_is_no_word_of_its_command(file, engine, orc, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://ana:hush@index.example/simple")
    monkeypatch.setenv("HTTPS_PROXY", "http://ana:hush@proxy.example")
    assert orc("build", file, "--engine", engine.program) == 0
    (built,) = engine.builds()
    assert "--secret=id=index,src=" in built
    assert "--build-arg=HTTPS_PROXY " in built
    assert "hush" not in built
    held = [path.read_text(errors="replace") for path in (engine.folder / "context").rglob("*") if path.is_file()]
    assert not [text for text in held if "hush" in text]


def fails(engine, name, text):
    (engine.folder / name).write_text(text)


def test_a_build_that_fails_is_told_with_its_log_and_locks_nothing(project, file, engine, orc, capsys):
    fails(
        engine,
        "fails",
        "#9 0.9 error: components/mine/__main__.py imports pandas, which no requirements.txt asks for\n",
    )
    assert orc("build", file, "--engine", engine.program) == 5
    said = capsys.readouterr().err
    assert "own/mine was not built: components/mine/__main__.py imports pandas" in said
    assert f"hint: add the package to {project.folder}/components/mine/requirements.txt" in said
    log = said.partition("all it said: ")[2].splitlines()[0]
    assert "imports pandas" in Path(log).read_text()
    assert not (project.folder / "pipeline.lock.yaml").exists()


def test_a_push_that_is_denied_says_how_to_log_in(project, file, engine, registry, orc, capsys):
    fails(engine, "denies", "denied: requested access to the resource is denied\n")
    assert orc("build", file, "--engine", engine.program, "--push", "--registry", registry.host) == 5
    said = capsys.readouterr().err
    assert f"image registry {registry.host}: it does not let you push there" in said
    assert f"docker login {registry.host}" in said
    assert not (project.folder / "pipeline.lock.yaml").exists()


def test_a_registry_that_does_not_answer_is_told_before_anything_is_built(file, engine, registry, orc, capsys):
    registry.status = 503
    assert orc("build", file, "--engine", engine.program, "--push", "--registry", registry.host) == 5
    assert f"image registry {registry.host}: it does not answer" in capsys.readouterr().err
    assert engine.builds() == []


def test_an_engine_that_does_not_answer_is_told(file, engine, orc, capsys):
    fails(engine, "dead", "")
    assert orc("build", file, "--engine", engine.program) == 5
    assert "Cannot connect to the Docker daemon. Is it running?" in capsys.readouterr().err


def test_a_docker_without_its_builder_is_told(file, engine, orc, capsys):
    program = engine.folder / "docker"
    program.write_text(program.read_text().replace("20.10.24", "28.2.2"))
    assert orc("build", file, "--engine", engine.program) == 5
    said = capsys.readouterr().err
    assert "its part `buildx` is missing" in said
    assert "docker-buildx-plugin" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pipeline.yaml", "--push"], "--push needs a registry"),
        (["pipeline.yaml", "--push", "--registry", "https://x"], "cannot be a registry"),
        (["pipeline.yaml", "--with", "mien=x"], "did you mean 'mine'?"),
        (["pipeline.yaml", "--with", " "], "names no package"),
        (["pipeline.yaml", "--ca", "none.pem"], "there is no such file"),
        (["mien"], "no component is named 'mien'"),
        (["none.yaml"], "none.yaml"),
        (["pipeline.yaml", "--engine", "no-such-engine"], "not on this machine"),
    ],
)
def test_what_cannot_be_asked_for(file, engine, orc, capsys, words, said):
    assert orc("build", *words, *([] if "--engine" in words else ["--engine", engine.program])) in (1, 2, 4, 5)
    assert said in capsys.readouterr().err
    assert engine.builds() == []


def test_compile_pins_what_a_registry_has(project, file, engine, registry, orc, capsys):
    orc("build", file, "--engine", engine.program)
    capsys.readouterr()
    assert orc("compile", file) == 0
    said = capsys.readouterr()
    assert "image: own/mine\n" in said.out
    assert "warning: not pinned, since no registry has them: own/mine" in said.err
    orc("build", file, "--engine", engine.program, "--push", "--registry", registry.host)
    capsys.readouterr()
    assert orc("compile", file) == 0
    said = capsys.readouterr()
    assert f"image: {registry.host}/own/mine@{PUSHED}\n" in said.out
    assert said.err == ""
    project.component("mine", __main___dot_py="x = 1\n")
    assert orc("compile", file) == 0
    assert "warning: built from other code than is here now: own/mine" in capsys.readouterr().err
