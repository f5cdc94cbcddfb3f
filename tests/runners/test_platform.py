"""What else a platform document says: pods, deadlines, placement; each honoured, or named in the one warning."""

import json
import socket
import time

import pytest
import yaml
from kfp import dsl, kubernetes

from orchestrator import cli, ir
from orchestrator.errors import PipelineError
from orchestrator.history import labels
from orchestrator.runners.events import TaskFinished, Warned
from tests.runners.compiling import compiled, program

SHOW = "put('out', ' '.join(os.environ.get(n, '-') for n in a['text'].split()))"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, lambda *_: (trace('asked to end'), sys.exit(0)));"
    " trace('begun'); time.sleep(60)"
)


def run(project, build, config=None, **arguments):
    compiled(project.folder / "pipeline.yaml", build, config)
    return project.run(cache=False, **arguments)


def warned(ran) -> list[str]:
    return [each.message for each in ran.events if isinstance(each, Warned)]


def test_fields_of_the_pod_are_those_of_this_machine(project):
    fields = {
        "NAME": "metadata.name",
        "SPACE": "metadata.namespace",
        "UID": "metadata.uid",
        "NODE": "spec.nodeName",
        "ADDRESS": "status.podIP",
        "TEAM": "metadata.labels['team']",
        "RUN": "metadata.labels['pipeline/runid']",
        "WHY": "metadata.annotations['example.org/why']",
        "NONE": "metadata.labels['none']",
    }

    def build():
        for _ in range(2):
            task = program("put('out', '|'.join(os.environ[n] for n in a['text'].split()))", " ".join(fields))
            for name, path in fields.items():
                kubernetes.use_field_path_as_env(task, name, path)
            kubernetes.add_pod_label(task, "team", "birds")
            kubernetes.add_pod_annotation(task, "example.org/why", "because")

    ran = run(project, build)
    name, space, uid, *others = ran.value("program").split("|")
    assert name.startswith("demo-")
    assert (space, len(uid)) == ("default", 36)
    assert others == [socket.gethostname(), "127.0.0.1", "birds", ran.end.run, "because", ""]
    assert ran.value("program-2").split("|")[0] != name
    assert warned(ran) == []


def test_a_field_this_machine_does_not_have_fails_in_words(project):
    def build():
        kubernetes.use_field_path_as_env(program(SHOW), "X", "spec.priority")

    assert run(project, build).tasks["program"].reason == (
        "the field 'spec.priority' of a pod has no counterpart on this machine"
    )


def test_labels_and_annotations_are_in_the_record(project, monkeypatch, capsys):
    def build():
        with dsl.ParallelFor(["a", "b"]) as item:
            task = program(SHOW, item)
            kubernetes.add_pod_label(task, "team", "birds")
            kubernetes.add_pod_annotation(task, "why", "because")

    ran = run(project, build)
    found = labels.of(project.metadata().run("last"))
    assert labels.told(found, ran.tasks["program[1]"].task.path) == {
        "labels": {"team": "birds"},
        "annotations": {"why": "because"},
    }
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("ORC_STATE", str(project.settings.state))
    assert cli.main(["show", "last", "program[1]", "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)["tasks"][0]
    assert (shown["labels"], shown["annotations"]) == ({"team": "birds"}, {"why": "because"})


def test_a_task_has_its_timeout(project):
    def build():
        kubernetes.set_timeout(program("time.sleep(60)"), 1)

    assert run(project, build).tasks["program"].reason == "it took longer than its timeout of 1 s"


def test_what_only_a_cluster_has_is_named_once(project):
    def build(selector: dict = {"a": "b"}):  # noqa: B006
        placed = program(SHOW)
        kubernetes.add_node_selector(placed, "pool", "gpu")
        kubernetes.add_toleration(placed, "a", "Exists")
        kubernetes.set_security_context(placed, run_as_user=1000)
        placed.set_memory_limit("1Gi").set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
        by_parameter = program(SHOW)
        kubernetes.add_node_selector_json(by_parameter, selector)
        kubernetes.add_node_affinity_json(by_parameter, selector)
        kubernetes.add_toleration_json(by_parameter, selector)
        # What stands for nothing here is not missed: there is no image to pull.
        kubernetes.set_image_pull_policy(by_parameter, "Always")
        kubernetes.set_image_pull_secrets(by_parameter, ["registry"])

    ran = run(project, build)
    told = (
        "on this machine the run does without node selectors, tolerations and affinity (program, program-2);"
        " accelerators (program); CPU and memory limits (program); security contexts (program)"
    )
    assert warned(ran) == [told]
    assert ran.status == "SUCCEEDED"


def test_what_newer_sdks_write_is_read_and_named(project):
    def build():
        program(SHOW)

    file = compiled(project.folder / "pipeline.yaml", build)
    label = next(iter(yaml.safe_load(file.read_text())["deploymentSpec"]["executors"]))
    container = {"name": "a", "image": "x", "command": ["sh"], "args": ["-c"], "env": [{"name": "A", "value": "b"}]}
    mounts = {"volumeMounts": [{"volumeName": "v", "mountPath": "/v"}], "resources": {"limits": {"cpu": "1"}}}
    executor = {
        "initContainers": [{**container, **mounts}, {**container, "name": "b", "restartPolicy": "Always"}],
        "podResourceClaims": [
            {"resourceClaimTemplateName": "gpu"},
            {"resourceClaimJson": {"runtimeValue": {"constant": {"a": "b"}}}},
        ],
        "podAffinity": [{"matchPodLabels": {"a": "b"}, "topologyKey": "zone", "anti": True, "weight": 1}],
        "enabledSharedMemory": {"volumeName": "shm", "size": "1Gi"},
    }
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {label: executor}}}}}
    pipeline = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump_all([pipeline, platform]))
    told = (
        "on this machine the run does without node selectors, tolerations and affinity (program);"
        " claims of devices (program); containers beside the task's own (program); init containers (program)"
    )
    assert warned(project.run()) == [told]
    executor["podResourceClaims"][0]["resourceClaimTemplate"] = "gpu"
    file.write_text(yaml.safe_dump_all([pipeline, platform]))
    with pytest.raises(PipelineError, match="unknown key 'resourceClaimTemplate'"):
        project.run()


def test_every_field_of_the_sdks_schema_is_known():
    from kfp.kubernetes import kubernetes_executor_config_pb2 as schema
    from kfp.pipeline_spec import pipeline_spec_pb2 as spec

    def missing(message, model, at: str):
        for each in message.fields:
            field = model.model_fields.get(each.name)
            if field is None:
                yield f"{at}.{each.name}"
            inside = [each.message_type] if each.message_type else []
            for nested in inside:
                found = list(_models(field.annotation)) if field else []
                is_map = nested.GetOptions().map_entry
                if found and not is_map and nested.file.name == message.file.name:
                    yield from missing(nested, found[0], f"{at}.{each.name}")

    found = [
        *missing(schema.KubernetesExecutorConfig.DESCRIPTOR, ir.platform.KubernetesExecutor, "executor"),
        *missing(spec.PipelineConfig.DESCRIPTOR, ir.platform.PipelineConfig, "config"),
    ]
    assert found == []


def _models(annotation):
    inside = getattr(annotation, "__args__", ())
    if isinstance(annotation, type) and issubclass(annotation, ir.spec.Value):
        return [annotation]
    return [each for part in inside for each in _models(part)]


def test_a_run_that_passes_its_deadline_ends_what_runs_and_starts_nothing_more(project):
    def build():
        program(STUBBORN).after(program(SHOW))
        program(SHOW).after(program("time.sleep(60)"))

    began = time.monotonic()
    ran = run(project, build, {"activeDeadlineSeconds": 2})
    assert time.monotonic() - began < 30
    assert (ran.status, ran.end.reason) == ("FAILED", "the run took longer than its deadline of 2 s")
    assert project.trace == ["begun", "asked to end"]
    assert sorted(ran.statuses.values()) == ["CANCELLED", "FAILED", "FAILED", "SUCCEEDED"]
    assert {each.reason for each in ran.events if isinstance(each, TaskFinished) and each.status == "FAILED"} == {
        "the run took longer than its deadline of 2 s"
    }


def test_what_ends_a_run_comes_after_its_deadline_and_is_told(project):
    @dsl.container_component
    def ends(status: dsl.PipelineTaskFinalStatus):
        code = "import sys, os; open(os.environ['TRACE'], 'a').write(sys.argv[1] + chr(10))"
        return dsl.ContainerSpec(image="x", command=["python", "-S", "-c"], args=[code, status])

    def build():
        with dsl.ExitHandler(ends()):
            program("time.sleep(60)")

    ran = run(project, build, {"activeDeadlineSeconds": "1"})
    assert ran.status == "FAILED"
    assert ran.statuses == {"program": "FAILED", "ends": "SUCCEEDED"}
    told = json.loads(project.trace[0])
    assert told["state"] == "FAILED"
    assert "deadline of 1 s" in told["error"]["message"]


def test_a_deadline_leaves_alone_what_ends_the_run(project):
    @dsl.container_component
    def ends(status: dsl.PipelineTaskFinalStatus):
        return dsl.ContainerSpec(image="x", command=["python", "-S", "-c"], args=["import time; time.sleep(2)", status])

    def build():
        with dsl.ExitHandler(ends()):
            program(SHOW)

    ran = run(project, build, {"activeDeadlineSeconds": 1})
    assert (ran.status, ran.statuses) == ("SUCCEEDED", {"program": "SUCCEEDED", "ends": "SUCCEEDED"})


def test_a_pause_before_another_attempt_does_not_outlive_the_deadline(project):
    def build():
        program("sys.exit(1)").set_retry(3, backoff_duration="60s")

    ran = run(project, build, {"activeDeadlineSeconds": 1})
    assert (ran.status, ran.end.reason) == ("FAILED", "the run took longer than its deadline of 1 s")


def test_times_to_live_are_kept_with_the_run(project):
    def build():
        program(SHOW)

    run(project, build, {"resourceTtlOnCompletion": 60, "resourceTtlOnSuccess": 30, "resourceTtlOnFailure": 90})
    config = ir.load(project.metadata().run("last").ir)[1].platforms.kubernetes.pipeline_config
    assert (config.resource_ttl_on_completion, config.resource_ttl_on_success) == (60, 30)
    assert config.resource_ttl_on_failure == 90
