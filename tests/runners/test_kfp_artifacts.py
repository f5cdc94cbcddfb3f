"""Artifacts and workspaces of KFP pipelines, where a case of the corpus cannot say what is seen beside the run."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest
import yaml

from orchestrator.runners.events import Status, Warned

DATA = {"artifactType": {"schemaTitle": "system.Dataset"}}
WORKSPACE = {"platforms": {"kubernetes": {"pipelineConfig": {"workspace": {"size": "1Gi"}}}}}


def program(script: str, *args: str, reads: bool = False, makes: bool = False, **more: Any) -> dict[str, Any]:
    """A component whose program is a line of shell; `$0` is the first argument."""
    inputs = {"inputDefinitions": {"artifacts": {"data": DATA}}} if reads else {}
    outputs = {"outputDefinitions": {"artifacts": {"data": DATA}}} if makes else {}
    return {**inputs, **outputs, "container": {"image": "x", "command": ["sh", "-c", script, *args]}, **more}


def importer(uri: Any, **more: Any) -> dict[str, Any]:
    spec = {"artifactUri": {"constant": uri}, "typeSchema": {"schemaTitle": "system.Dataset"}, **more}
    return {"outputDefinitions": {"artifacts": {"artifact": DATA}}, "importer": spec}


READ = program(
    'cp "$0" "$1"',
    "{{$.inputs.artifacts['data'].path}}",
    "{{$.outputs.parameters['out'].output_file}}",
    reads=True,
    outputDefinitions={"parameters": {"out": {"parameterType": "STRING"}}},
)
TOLD = "{{$.outputs.output_file}}"


@pytest.fixture
def compiled(project):
    """Writes a specification of components that are each used once: NAME, or NAME of COMPONENT, from a task."""

    def write(components: Mapping[str, Any], given: Mapping[str, str] = {}, platform: Any = None) -> Path:
        executors, tasks = {}, {}
        for name, each in components.items():
            executors[name] = {kind: each[kind] for kind in ("container", "importer") if kind in each}
            tasks[name] = {"componentRef": {"name": name}, "cachingOptions": {"enableCache": True}}
            if name in given:
                source = {"producerTask": given[name].split(".")[0], "outputArtifactKey": given[name].split(".")[1]}
                tasks[name]["inputs"] = {"artifacts": {"data": {"taskOutputArtifact": source}}}
            tasks[name] |= each.get("task", {})
        kept = ("inputDefinitions", "outputDefinitions")
        document = {
            "pipelineInfo": {"name": "demo"},
            "components": {
                name: {"executorLabel": name, **{key: each[key] for key in kept if key in each}}
                for name, each in components.items()
            },
            "deploymentSpec": {"executors": executors},
            "root": {"dag": {"tasks": tasks}},
        }
        path = project.folder / "pipeline.yaml"
        path.write_text(yaml.safe_dump_all([document, *([platform] if platform else [])]))
        return path

    return write


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


# Importers.


def test_a_remote_file_and_a_remote_folder_are_fetched(project, compiled, tmp_path):
    fsspec.filesystem("memory").pipe({"/bucket/set/a.csv": b"A", "/bucket/set/b.csv": b"B"})
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "x.csv").write_text("from the web")
    listing = {
        **READ,
        "container": {
            **READ["container"],
            "command": ["sh", "-c", 'cat "$0"/* > "$1"', *READ["container"]["command"][3:]],
        },
    }
    with served(tmp_path / "web") as base:
        web, folder, gone = importer(f"{base}/x.csv"), importer("memory://bucket/set"), importer(f"{base}/gone.csv")
        compiled(
            {"web": web, "folder": folder, "gone": gone, "read": READ, "list": listing},
            {"read": "web.artifact", "list": "folder.artifact"},
        )
        ran = project.run()
    assert ran.statuses == {
        "web": "SUCCEEDED",
        "folder": "SUCCEEDED",
        "gone": "FAILED",
        "read": "SUCCEEDED",
        "list": "SUCCEEDED",
    }
    assert (ran.value("read"), ran.value("list")) == ("from the web", "AB")
    (made,) = ran.tasks["web"].outputs.artifacts["artifact"]
    assert made.source == f"{base}/x.csv"
    assert made.metadata == {}
    assert f"{base}/gone.csv" in ran.tasks["gone"].reason


def test_an_import_is_taken_from_before_until_the_file_changes_or_it_is_to_be_imported_again(project, compiled):
    file = project.folder / "x.csv"
    file.write_text("one")
    compiled(
        {"once": importer("x.csv"), "again": importer("x.csv", reimport=True, metadata={"n": 1}), "read": READ},
        {"read": "once.artifact"},
    )
    assert set(project.run().statuses.values()) == {"SUCCEEDED"}
    assert project.run().statuses == {"once": "SKIPPED", "again": "SUCCEEDED", "read": "SKIPPED"}
    file.write_text("two")
    changed = project.run()
    assert changed.statuses == {"once": "SUCCEEDED", "again": "SUCCEEDED", "read": "SUCCEEDED"}
    assert changed.value("read") == "two"


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("nothing.csv", "there is no file"),
        ("file:///nothing/here.csv", "there is no file '/nothing/here.csv'"),
        ("memory://bucket/nothing", "there is no object 'memory://bucket/nothing'"),
        ("nosuch://x/y", "nosuch"),
        ("", "it was given no URI"),
        ("~nobody-is-called-so/x", "is no usable path"),
        ("a\0b", "zero byte"),
        ("/dev/null", "neither a file nor a folder"),
    ],
)
def test_what_cannot_be_imported_says_why(project, compiled, uri, told):
    compiled({"take": importer(uri)})
    ran = project.run()
    assert ran.status is Status.FAILED
    assert told in ran.tasks["take"].reason


def test_properties_of_old_files_are_metadata(project, compiled):
    (project.folder / "x.csv").write_text("x")
    spec = importer(
        "x.csv",
        properties={"a": {"constantValue": {"stringValue": "one"}}, "b": {"constant": 2.0}},
        customProperties={"c": {"runtimeParameter": "word"}},
        metadata={"d": [1.0, {"e": 2.5}]},
    )
    spec["inputDefinitions"] = {"parameters": {"word": {"parameterType": "STRING"}}}
    spec["task"] = {"inputs": {"parameters": {"word": {"runtimeValue": {"constant": "w"}}}}}
    compiled({"take": spec})
    (made,) = project.run().tasks["take"].outputs.artifacts["artifact"]
    assert made.metadata == {"a": "one", "b": 2, "c": "w", "d": [1, {"e": 2.5}]}


# Where a program says its artifacts are.


def saying(*listed: Mapping[str, Any]) -> str:
    return json.dumps({"artifacts": {"data": {"artifacts": listed}}})


def says(**about: Any) -> dict[str, Any]:
    return program('printf %s "$1" > "$0"', TOLD, saying({"metadata": {"a": 1}, **about}), makes=True)


def test_a_file_of_the_user_stays_where_it_is_whatever_a_program_says_of_it(project, compiled):
    mine = project.folder / "mine.txt"
    mine.write_text("mine")
    mine.chmod(0o644)
    compiled(
        {
            "adopts": says(uri=str(mine)),
            "by-uri": says(uri=mine.as_uri()),
            "copies": says(custom_path=str(mine)),
            "read": READ,
        },
        {"read": "adopts.data"},
    )
    ran = project.run()
    assert ran.status is Status.SUCCEEDED, ran.end.reason
    made = {name: ran.tasks[name].outputs.artifacts["data"][0] for name in ("adopts", "by-uri", "copies")}
    assert made["adopts"].path == made["by-uri"].path == mine
    assert made["copies"].path != mine
    assert made["copies"].path.read_text() == ran.value("read") == "mine"
    assert {each.name for each in made.values()} == {"data"}
    assert all(each.metadata == {"a": 1} for each in made.values())
    assert mine.read_text() == "mine"
    assert os.access(mine, os.W_OK)
    assert mine.stat().st_mode & 0o777 == 0o644


def test_an_object_a_program_put_elsewhere_is_fetched_and_a_name_is_kept_as_it_is(project, compiled):
    fsspec.filesystem("memory").pipe("/bucket/model", b"weights")
    name = "https://models.example/v1/models/7"
    show = {
        **READ,
        "container": {
            **READ["container"],
            "command": ["sh", "-c", 'printf %s "$0" > "$1"', *READ["container"]["command"][3:]],
        },
    }
    compiled(
        {"fetched": says(uri="memory://bucket/model"), "named": says(uri=name), "read": READ, "show": show},
        {"read": "fetched.data", "show": "named.data"},
    )
    ran = project.run()
    assert ran.status is Status.SUCCEEDED, ran.end.reason
    assert (ran.value("read"), ran.value("show")) == ("weights", name)
    assert ran.tasks["named"].outputs.artifacts["data"][0].size == 0
    assert set(project.run().statuses.values()) == {"SKIPPED"}


@pytest.mark.parametrize(
    ("component", "told"),
    [
        (says(uri="/nothing/here"), "its output 'data' should be at /nothing/here, where nothing is"),
        (says(custom_path="nothing/here"), "its output 'data' should be at nothing/here, where nothing is"),
        (says(uri="memory://bucket/nothing-there"), "memory://bucket/nothing-there"),
        (
            program('printf %s "$1" > "$0"', TOLD, '{"artifacts": {"data": {"artifacts": [{"uri": 3}]}}}', makes=True),
            "KFP",
        ),
        (program('printf %s "$1" > "$0"', TOLD, '{"artifacts": {"data": [1]}}', makes=True), "is not as KFP has it"),
    ],
    ids=("uri", "path", "object", "number", "list"),
)
def test_an_artifact_that_is_not_where_it_is_said_to_be_is_a_failure(project, compiled, component, told):
    compiled({"say": component})
    ran = project.run()
    assert ran.status is Status.FAILED
    assert told in ran.tasks["say"].reason


def test_a_list_of_artifacts_is_given_as_the_program_lists_them(project, compiled):
    place = "{{$.outputs.artifacts['data'].path}}"
    listed = saying({"uri": f"{place}/two"}, {"uri": f"{place}/one"})
    many = program('mkdir "$0"; printf 1 > "$0/one"; printf 2 > "$0/two"; printf %s "$1" > "$2"', place, listed, TOLD)
    many["outputDefinitions"] = {"artifacts": {"data": {**DATA, "isArtifactList": True}}}
    none = program('printf %s "$1" > "$0"', TOLD, saying())
    none["outputDefinitions"] = many["outputDefinitions"]
    compiled({"many": many, "none": none})
    ran = project.run()
    assert [each.path.read_text() for each in ran.tasks["many"].outputs.artifacts["data"]] == ["2", "1"]
    assert ran.tasks["none"].outputs.artifacts["data"] == ()


def test_tasks_of_one_component_do_not_write_over_each_other(project, compiled):
    """L16: a compiler that writes equal components once is right."""
    path = compiled(
        {
            "a": program(
                'printf "$1" > "$0"', "{{$.outputs.artifacts['data'].path}}", "{{$.pipeline_task_name}}", makes=True
            )
        }
    )
    document = yaml.safe_load(path.read_text())
    document["root"]["dag"]["tasks"] |= {"b": document["root"]["dag"]["tasks"]["a"]}
    path.write_text(yaml.safe_dump(document))
    ran = project.run(cache=False)
    assert (ran.file("a", "data"), ran.file("b", "data")) == ("a", "b")


def test_a_place_is_the_same_however_it_is_written(project, compiled):
    """A state folder behind a link, of which a program tells the real path: its file is kept, not left in a scrap."""
    (project.folder / "real").mkdir()
    (project.folder / "state").symlink_to(project.folder / "real")
    script = 'printf x > "$0"; p=$(realpath "$0"); printf "$1" "$p" > "$2"'
    told = saying({"uri": "WHERE"}).replace("WHERE", "%s")
    compiled(
        {"a": program(script, "{{$.outputs.artifacts['data'].path}}", told, TOLD, makes=True), "read": READ},
        {"read": "a.data"},
    )
    ran = project.run()
    assert ran.status is Status.SUCCEEDED, ran.end.reason
    assert ran.file("a", "data") == ran.value("read") == "x"


# The workspace.


def test_a_workspace_outlives_a_failure_and_goes_with_success(project, compiled, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "kept.txt").write_text("kept")
    write = program(
        'ln -s "$1" "$0/link"; printf x > "$0/made"; printf x >> "$TRACE"', "{{$.workspace_path}}", str(mine)
    )
    fail = program(
        f'test -e {shlex.quote(str(tmp_path / "repaired"))} && cat "$0/made" "$0/link/kept.txt"', "{{$.workspace_path}}"
    )
    compiled({"write": write, "fail": {**fail, "task": {"dependentTasks": ["write"]}}}, platform=WORKSPACE)
    ran = project.run(run="first")
    assert ran.statuses == {"write": "SUCCEEDED", "fail": "FAILED"}
    folder = project.settings.state / "runs" / "first" / ".workspace"
    assert (folder / "made").read_text() == "x"
    (tmp_path / "repaired").touch()
    resumed = project.resume("first")
    assert resumed.status is Status.SUCCEEDED, resumed.end.reason
    assert resumed.started == ["fail"]
    assert not folder.exists()
    assert (mine / "kept.txt").read_text() == "kept"
    # What a task leaves in a workspace is no output: another run has a workspace of its own, and must run it.
    again = project.run(run="second")
    assert again.statuses == {"write": "SUCCEEDED", "fail": "SUCCEEDED"}
    assert project.trace == ["xx"]


def test_an_artifact_that_was_left_in_the_workspace_is_kept(project, compiled):
    told = saying({"uri": "WHERE/model.bin"}).replace("WHERE", "%s")
    write = program(
        f'printf w > "$1/model.bin"; printf {shlex.quote(told)} "$1" > "$0"', TOLD, "{{$.workspace_path}}", makes=True
    )
    compiled({"write": write, "read": READ}, {"read": "write.data"}, WORKSPACE)
    ran = project.run()
    assert ran.status is Status.SUCCEEDED, ran.end.reason
    assert ran.value("read") == "w"
    assert ran.file("write", "data") == "w"
    assert ran.tasks["write"].outputs.artifacts["data"][0].path.name == "model.bin"


def test_what_is_imported_from_the_workspace_is_kept(project, compiled):
    write = program('mkdir "$0/made"; printf w > "$0/made/x.txt"', "{{$.workspace_path}}")
    take = {**importer("{{$.workspace_path}}/made/x.txt"), "task": {"dependentTasks": ["write"]}}
    compiled({"write": write, "take": take, "read": READ}, {"read": "take.artifact"}, WORKSPACE)
    ran = project.run()
    assert ran.status is Status.SUCCEEDED, ran.end.reason
    assert ran.value("read") == ran.file("take", "artifact") == "w"
    assert ran.tasks["take"].outputs.artifacts["artifact"][0].path.name == "x.txt"


def test_a_pipeline_without_a_workspace_is_told_how_to_have_one(project, compiled):
    (project.folder / "x.csv").write_text("x")
    constant = program("true", inputDefinitions={"parameters": {"p": {"parameterType": "STRING"}}})
    constant["task"] = {"inputs": {"parameters": {"p": {"runtimeValue": {"constant": "{{$.workspace_path}}/x"}}}}}
    compiled(
        {
            "words": program("true", "{{$.workspace_path}}"),
            "constant": constant,
            "download": importer("x.csv", downloadToWorkspace=True),
        }
    )
    ran = project.run()
    assert set(ran.statuses.values()) == {"FAILED"}
    assert all("dsl.PipelineConfig(workspace=" in each.reason for each in ran.tasks.values())


def test_a_downloaded_artifact_is_there_though_its_import_is_taken_from_before(project, compiled):
    (project.folder / "x.csv").write_text("x")
    append = program('printf y >> "$0" && cat "$0" >> "$TRACE"', "{{$.inputs.artifacts['data'].path}}", reads=True)
    append["task"] = {"cachingOptions": {}}
    compiled(
        {"take": importer("x.csv", downloadToWorkspace=True), "append": append}, {"append": "take.artifact"}, WORKSPACE
    )
    assert project.run().status is Status.SUCCEEDED
    assert project.run().statuses == {"take": "SKIPPED", "append": "SUCCEEDED"}
    assert project.trace == ["xyxy"]
    assert (project.folder / "x.csv").read_text() == "x"


def test_a_disk_that_is_too_small_for_a_workspace_is_told_of(project, compiled):
    wanted = {"platforms": {"kubernetes": {"pipelineConfig": {"workspace": {"size": "900Pi"}}}}}
    compiled({"nothing": program("true")}, platform=wanted)
    ran = project.run()
    assert ran.status is Status.SUCCEEDED
    (told,) = (event.message for event in ran.events if isinstance(event, Warned))
    assert told.startswith("the workspace asks for 900Pi, and the disk of ")
    compiled({"nothing": program("true")}, platform=WORKSPACE)
    assert not [event for event in project.run().events if isinstance(event, Warned)]


# Artifacts that a run is given.

GIVEN = """
pipelineInfo: {name: given}
components:
  read:
    executorLabel: read
    inputDefinitions:
      artifacts: {data: {artifactType: {schemaTitle: system.Dataset}}, parts: {artifactType: {}, isArtifactList: true}}
    outputDefinitions: {parameters: {out: {parameterType: STRING}}}
deploymentSpec:
  executors:
    read:
      container:
        image: x
        command:
        - python3
        - -S
        - -c
        - |
          import json, sys
          paths = [sys.argv[1], *(each["uri"] for each in json.loads(sys.argv[2]))]
          open(sys.argv[3], "w").write("+".join(open(path).read() for path in paths))
        args:
        - "{{$.inputs.artifacts['data'].path}}"
        - "{{$.inputs.artifacts['parts']}}"
        - "{{$.outputs.parameters['out'].output_file}}"
root:
  inputDefinitions:
    artifacts: {data: {artifactType: {schemaTitle: system.Dataset}}, parts: {artifactType: {}, isArtifactList: true}}
  dag:
    outputs: {parameters: {out: {valueFromParameter: {producerSubtask: read, outputParameterKey: out}}}}
    tasks:
      read:
        componentRef: {name: read}
        inputs: {artifacts: {data: {componentInputArtifact: data}, parts: {componentInputArtifact: parts}}}
  outputDefinitions: {parameters: {out: {parameterType: STRING}}}
"""


def test_files_are_given_from_where_one_stands(project, tmp_path):
    (tmp_path / "given.ir.yaml").write_text(GIVEN)
    here = tmp_path / "here"
    here.mkdir()
    for name in "abc":
        (here / f"{name}.txt").write_text(name)

    def orc(*given: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "orchestrator",
            "run",
            "../given.ir.yaml",
            *(w for each in given for w in ("--arg", each)),
        ]
        environment = {**os.environ, "ORC_STATE": str(tmp_path / "state")}
        return subprocess.run(
            command, cwd=here, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    ran = orc("data=a.txt", 'parts=["b.txt", "c.txt"]')
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "a+b+c" in ran.stdout
    assert "a+b" in orc(f"data={(here / 'a.txt').as_uri()}", "parts=b.txt").stdout
    missing = orc("data=none.txt", "parts=b.txt")
    assert missing.returncode != 0
    assert "none.txt" in missing.stderr
    assert "Traceback" not in missing.stderr
    assert "the pipeline needs the artifact 'parts'" in orc("data=a.txt").stderr
