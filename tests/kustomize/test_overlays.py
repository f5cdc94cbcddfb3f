"""Three environments from one base: they differ in what the overlays say, and in nothing else (AS-29)."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.helm.conftest import program
from tests.kustomize.conftest import MANIFESTS

OVERLAYS = ("dev", "staging", "prod")
# What an overlay may say. Everything else is the same in every environment.
SAID = (
    r".*/metadata/namespace",
    r"Namespace/orchestrator/metadata/name",
    r".*/metadata/labels/environment",
    r"Namespace/orchestrator/metadata/labels/kubernetes.io~metadata.name",
    r"RoleBinding/[\w-]+/subjects/0/namespace",
    r"ResourceQuota/orchestrator/spec/hard/.*",
    r"(Deployment|ServingRuntime)/[\w-]+/spec/.*/image",
)
# What the component external-store changes of MLflow, in the environments that have one.
STORE = (
    r"PersistentVolumeClaim/orchestrator-mlflow",
    r"Deployment/orchestrator-mlflow/spec/(replicas|strategy/.*)",
    r"Deployment/orchestrator-mlflow/spec/template/spec/containers/0/(args/4|env/.*|volumeMounts/.*)",
    r"Deployment/orchestrator-mlflow/spec/template/spec/volumes/.*",
)


@pytest.mark.parametrize("other", OVERLAYS[1:])
def test_environments_differ_only_in_what_the_overlays_say(built, other):
    allowed = re.compile("|".join(SAID + STORE))
    differing = _differing(_named(built("overlays/dev")), _named(built(f"overlays/{other}")))
    assert differing
    assert [path for path in differing if not allowed.fullmatch(path)] == []


def test_staging_and_prod_differ_only_in_size_and_place(built):
    allowed = re.compile("|".join((*SAID, r"Deployment/orchestrator-mlflow/spec/template/spec/containers/0/args/4")))
    differing = _differing(_named(built("overlays/staging")), _named(built("overlays/prod")))
    assert [path for path in differing if not allowed.fullmatch(path)] == []
    assert any("ResourceQuota" in path for path in differing)


@pytest.mark.parametrize("name", OVERLAYS)
def test_nothing_of_an_environment_is_anywhere_else(built, name):
    objects = built(f"overlays/{name}")
    assert objects["Namespace", f"orchestrator-{name}"]["metadata"]["labels"]["environment"] == name
    for (kind, _), each in objects.items():
        if kind != "Namespace":
            assert each["metadata"]["namespace"] == f"orchestrator-{name}"
    text = yaml.safe_dump(list(objects.values()))
    others = [f"orchestrator-{other}" for other in OVERLAYS if other != name]
    assert not any(other in text for other in others)
    assert not re.search(r"orchestrator\.svc|namespace: orchestrator\n", text)


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_pod_carries_its_environment(built, name):
    mlflow = built(f"overlays/{name}")["Deployment", "orchestrator-mlflow"]
    assert mlflow["spec"]["template"]["metadata"]["labels"]["environment"] == name


def test_models_of_an_environment_are_in_a_bucket_of_its_own(built):
    for name in ("staging", "prod"):
        container = built(f"overlays/{name}")["Deployment", "orchestrator-mlflow"]["spec"]["template"]["spec"]
        assert f"--artifacts-destination=s3://{name}-models/mlflow" in container["containers"][0]["args"]
        variables = {each["name"]: each for each in container["containers"][0]["env"]}
        assert "value" not in variables["MLFLOW_BACKEND_STORE_URI"]
        assert [volume["name"] for volume in container["volumes"]] == ["tmp"]


def test_the_base_is_what_the_chart_renders():
    helm = program("helm")
    if helm is None:
        pytest.skip("needs helm: it is on the path nowhere, and `make cluster` has not built it")
    spec = importlib.util.spec_from_file_location("render", MANIFESTS / "render.py")
    render = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(render)
    assert (MANIFESTS / "base" / "orchestrator.yaml").read_text() == render.rendered(helm), "run `make manifests`"


def _named(objects: Any) -> dict[str, Any]:
    """The objects with the namespace's name taken out of what only repeats it."""
    return {f"{kind}/{re.sub('-(dev|staging|prod)$', '', name)}": each for (kind, name), each in objects.items()}


def _differing(one: Any, other: Any, path: str = "") -> list[str]:
    return list(_walk(one, other, path))


def _walk(one: Any, other: Any, path: str) -> Iterator[str]:
    if type(one) is not type(other):
        yield path
    elif isinstance(one, dict):
        for key in sorted({*one, *other}):
            below = f"{path}/{str(key).replace('/', '~')}" if path else str(key)
            if key not in one or key not in other:
                yield below
            else:
                yield from _walk(one[key], other[key], below)
    elif isinstance(one, list):
        for index in range(max(len(one), len(other))):
            if index >= len(one) or index >= len(other):
                yield f"{path}/{index}"
            else:
                yield from _walk(one[index], other[index], f"{path}/{index}")
    elif one != other:
        yield path
