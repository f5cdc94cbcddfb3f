"""What is asked of a server, as values: goldens of every request a run makes, and of the resources of Kubernetes."""

import json
from pathlib import Path

import pytest
import yaml

from orchestrator import ir
from orchestrator.runners.kfp import manifest, recurring, requests
from orchestrator.runners.kfp.recurring import Plan
from orchestrator.runners.kfp.requests import Call, Source
from tests.conftest import Golden
from tests.runners_kfp.specimens import pipeline, task

GOLDENS = Path(__file__).parent / "goldens"
SPECIMEN, PLATFORM = pipeline(task("a", cache=True), task("b", after=["a"]))
NAME = requests.version_name(SPECIMEN, PLATFORM)
SOURCE = Source("p-1", "v-1", "e-1", {"word": "hello", "empty": ""}, "orchestrator-runner", "s3://bucket/root")
CALLS = {
    "pipelines": requests.pipelines("specimen", "team"),
    "create_pipeline": requests.create_pipeline("specimen", "A specimen.", "team"),
    "versions": requests.versions("p-1", NAME),
    "upload_version": requests.upload_version("p-1", NAME, "pipelineInfo: {name: specimen}\n"),
    "experiments": requests.experiments("specimen", ""),
    "create_experiment": requests.create_experiment("specimen", ""),
    "runs": requests.runs("run-1", "team"),
    "create_run": requests.create_run("run-1", SOURCE),
    "run": requests.run("r-1"),
    "tasks": requests.tasks("r-1"),
    "terminate": requests.terminate("r-1"),
    "retry": requests.retry("r-1"),
    "create_recurring_run": requests.create_recurring_run(
        recurring.body(Plan("nightly", SPECIMEN, PLATFORM, {}, cron="0 3 * * *", start=1_800_000_000), SOURCE)
    ),
    "disable": requests.recurring_run("j-1", "disable"),
    "delete": requests.recurring_run("j-1", "delete"),
}


def shown(call: Call) -> str:
    told = {
        "request": f"{call.method} {call.path}",
        "query": dict(call.query),
        "body": call.body,
        "file": [part.decode() if isinstance(part, bytes) else part for part in call.file or ()],
        "asked again": call.repeatable,
    }
    return json.dumps({key: value for key, value in told.items() if value not in ({}, [], None)}, indent=2) + "\n"


@pytest.mark.parametrize("name", CALLS)
def test_requests(name: str, golden: Golden) -> None:
    golden(GOLDENS / f"{name}.json", shown(CALLS[name]))


def test_manifest(golden: Golden) -> None:
    golden(GOLDENS / "manifest.yaml", manifest.dump(SPECIMEN, PLATFORM, namespace="team"))


def test_a_version_is_its_content() -> None:
    again, _ = ir.load(ir.dump(SPECIMEN, PLATFORM))
    assert requests.version_name(again, PLATFORM) == NAME
    other, _ = pipeline(task("a", cache=True), task("b", "print()", after=["a"]))
    assert requests.version_name(other, PLATFORM) != NAME
    off = requests.uncached(SPECIMEN)
    assert requests.version_name(off, PLATFORM) != NAME
    assert off.root.dag
    assert all(each.caching_options and not each.caching_options.enable_cache for each in off.root.dag.tasks.values())


def test_resources_have_names_kubernetes_takes() -> None:
    long, platform = pipeline(task("a"), name="a-name-that-is-longer-than-kubernetes-likes-" * 3)
    for each in manifest.resources(long, platform):
        assert len(each["metadata"]["name"]) <= 63
        assert each["metadata"]["name"].strip("-.") == each["metadata"]["name"]


def test_the_kfp_sdk_writes_the_same_resources(tmp_path: Path) -> None:
    from kfp import compiler, dsl
    from kfp.compiler.compiler_utils import KubernetesManifestOptions

    @dsl.container_component
    def say(text: str):  # type: ignore[no-untyped-def]
        return dsl.ContainerSpec(image="x", command=["echo", text])

    @dsl.pipeline(name="specimen", description="A specimen.")
    def specimen(word: str = "hello") -> None:
        say(text=word)

    compiler.Compiler().compile(specimen, str(tmp_path / "ir.yaml"))
    options = KubernetesManifestOptions(
        pipeline_name="specimen", pipeline_version_name="v1", namespace="team", include_pipeline_manifest=True
    )
    compiler.Compiler().compile(
        specimen, str(tmp_path / "k.yaml"), kubernetes_manifest_options=options, kubernetes_manifest_format=True
    )
    theirs = list(yaml.safe_load_all((tmp_path / "k.yaml").read_text()))
    ours = manifest.resources(*ir.read(tmp_path / "ir.yaml"), namespace="team")
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine["apiVersion"], mine["kind"]) == (other["apiVersion"], other["kind"])
        assert set(mine["spec"]) == set(other["spec"])
    assert ours[1]["spec"]["pipelineSpec"] == theirs[1]["spec"]["pipelineSpec"]
