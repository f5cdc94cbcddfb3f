"""Files as objects of a cluster: places of mistakes, words as kubectl reads them, lists, folders, kustomizations."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cluster import order, written
from orchestrator.errors import BackendError, OrchestratorError, PipelineError

HERE = Path(__file__).parent
BROKEN = sorted((HERE / "files").glob("*.yaml"))
OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\n"


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_mistakes_are_told_with_their_place(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    header = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("# error: ")]
    with pytest.raises(PipelineError) as caught:
        written.read([file.name])
    assert str(caught.value) == "\n".join(line.removeprefix("# error: ") for line in header)


def one(text: str) -> Any:
    (found,) = written.objects(text, "a.yaml")
    return found


def test_words_are_read_as_kubectl_reads_them() -> None:
    found = one(OBJECT + "spec: {defaultMode: 0400, port: 0, size: 08, on: yes, version: 1.10, day: 2024-01-01}\n")
    assert found.manifest["spec"] == {
        "defaultMode": 256,
        "port": 0,
        "size": 8,
        "on": "yes",
        "version": 1.1,
        "day": "2024-01-01",
    }


def test_documents_of_a_file_and_items_of_a_list_are_objects() -> None:
    lists = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: c}}\n"
    text = OBJECT.replace("NAME", "a") + "---\n# nothing\n---\n" + OBJECT.replace("NAME", "b") + "---\n" + lists
    found = written.objects(text, "a.yaml")
    assert [each.manifest["metadata"]["name"] for each in found] == ["a", "b", "c"]
    assert [str(each.at("metadata.name")) for each in found] == ["a.yaml:3:12", "a.yaml:9:12", "a.yaml:14:45"]


DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations:
    example.com/why: because
spec:
  template:
    spec:
      containers:
        - name: a
          image: x
        - name: b.c
          image: y
          ports:
            - containerPort: 80
"""


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("spec.template.spec.containers[1].image", 14),
        ('spec.template.spec.containers[name="b.c"].image', 14),
        ('spec.template.spec.containers[name="b.c"].ports[containerPort=80,protocol="TCP"].containerPort', 16),
        ('metadata.annotations["example.com/why"]', 6),
        ("spec.template.spec.containers[7].image", 10),
        ("spec.replicas", 7),
        ("", 1),
        ("nonsense]]", 1),
    ],
)
def test_fields_the_server_names_are_found_in_the_file(field: str, line: int) -> None:
    assert one(DEPLOYMENT).at(field).line == line


def test_a_folder_is_its_files_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(OBJECT.replace("NAME", "b"), encoding="utf-8")
    (tmp_path / "a.yml").write_text(OBJECT.replace("NAME", "a"), encoding="utf-8")
    (tmp_path / "c.json").write_text('{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c"}}')
    (tmp_path / "notes.txt").write_text("no object", encoding="utf-8")
    found = written.read([str(tmp_path)])
    assert [each.manifest["metadata"]["name"] for each in found] == ["a", "b", "c"]


def test_a_folder_without_objects(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="there is no file of objects in the folder"):
        written.read([str(tmp_path)])


def test_all_files_are_read_before_mistakes_are_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("kind: ConfigMap\n", encoding="utf-8")
    with pytest.raises(PipelineError) as caught:
        written.read([str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"), str(tmp_path / "none.yaml")])
    assert len(caught.value.problems) == 3


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Given:
        buffer = io.BytesIO(b"kind: ConfigMap\n")

    monkeypatch.setattr(sys, "stdin", Given)
    with pytest.raises(PipelineError, match=r"\(standard input\):1:1: apiVersion is missing"):
        written.read(["-"])


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    (folder / name).chmod(0o755)
    assert os.stat(folder / name).st_mode & stat.S_IXUSR  # noqa: PTH116


@pytest.fixture
def kustomization(tmp_path: Path) -> Path:
    folder = tmp_path / "overlay"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text("resources: [a.yaml]\n", encoding="utf-8")
    (folder / "a.yaml").write_text(OBJECT.replace("NAME", "a"), encoding="utf-8")
    return folder


def test_a_kustomization_is_built_by_kubectl(
    tmp_path: Path, kustomization: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    program(tmp_path / "bin", "kubectl", '[ "$1" = kustomize ] && cat "$2/a.yaml"')
    (found,) = written.read([str(kustomization)])
    assert found.manifest["metadata"]["name"] == "a"
    assert str(found.at("metadata.name")) == str(kustomization)


def test_a_kustomization_that_cannot_be_built(
    tmp_path: Path, kustomization: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    program(tmp_path / "bin", "kubectl", "echo 'error: accumulating resources: a.yaml: no such file' >&2; exit 1")
    with pytest.raises(PipelineError, match=r"overlay: kubectl cannot build it: accumulating resources: a.yaml"):
        written.read([str(kustomization)])


def test_a_kustomization_without_kubectl(tmp_path: Path, kustomization: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(OrchestratorError) as caught:
        written.read([str(kustomization)])
    assert "is a kustomization, and there is neither kubectl nor kustomize here" in str(caught.value)
    assert not isinstance(caught.value, BackendError)


def made(kind: str, api: str = "v1") -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": kind.lower()}}


def test_what_others_need_comes_first_and_goes_last() -> None:
    kinds = (
        "InferenceService",
        "ClusterServingRuntime",
        "ValidatingWebhookConfiguration",
        "Deployment",
        "Service",
        "ConfigMap",
        "RoleBinding",
        "Role",
        "ServiceAccount",
        "CustomResourceDefinition",
        "Namespace",
    )
    objects = [made(kind) for kind in kinds]
    # A webhook judges what comes after it, and what serves it must run.
    wanted = [*kinds[:2:-1], "ClusterServingRuntime", "InferenceService", "ValidatingWebhookConfiguration"]
    assert [each["kind"] for each in order.sorted_to_apply(objects)] == wanted
    assert [each["kind"] for each in order.sorted_to_delete(objects)] == wanted[::-1]
    assert [each["kind"] for each in order.sorted_to_apply([made("Secret"), made("ConfigMap")])] == [
        "Secret",
        "ConfigMap",
    ]
