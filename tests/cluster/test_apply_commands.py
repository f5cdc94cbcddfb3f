"""`orc plan`, `orc apply` and `orc delete` as a person uses them, on a real API server."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli

ROOT = Path(__file__).parents[2]

APP = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 0
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
        - name: web
          image: registry.invalid/web:1
          volumeMounts: [{name: s, mountPath: /s}]
      volumes:
        - name: s
          secret: {secretName: s, defaultMode: 0400}
---
apiVersion: v1
kind: Secret
metadata:
  name: s
stringData:
  password: hunter2
"""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def orc(
    cluster_namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Runs a command in a folder of its own; the namespace is shown as HERE."""
    monkeypatch.setenv("KUBECONFIG", str(Path(os.environ["KUBECONFIG"]).resolve()))
    monkeypatch.setenv("ORC_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("ORC_CLUSTER_NAMESPACE", cluster_namespace)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.yaml").write_text(APP, encoding="utf-8")

    def run(*arguments: str) -> Done:
        code = cli.main(list(arguments))
        said = capfd.readouterr()
        return Done(code, *(text.replace(cluster_namespace, "HERE") for text in said))

    return run


Orc = Callable[..., Done]


def changed(path: Path, *pairs: tuple[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def test_from_nothing_to_applied_changed_and_deleted(orc: Orc, tmp_path: Path) -> None:
    assert orc("plan", "app.yaml", "--exit-code") == Done(
        6, "+ create Secret s in namespace HERE\n+ create Deployment web in namespace HERE\n2 to create\n", ""
    )
    applied = orc("apply", "app.yaml")
    assert applied.code == 0, applied
    assert applied.out.startswith("Secret s in namespace HERE: created\nDeployment web in namespace HERE: created\n")
    nothing = "nothing to do: 2 objects as in the files\n"
    assert orc("plan", "app.yaml", "--exit-code") == Done(0, nothing, "")
    changed(tmp_path / "app.yaml", ("web:1", "web:2"), ("replicas: 0", "replicas: 1"), ("hunter2", "hunter3"))
    assert orc("plan", "app.yaml") == Done(
        0,
        "~ change Secret s in namespace HERE\n"
        "    data.password: (hidden) -> (hidden)\n"
        "~ change Deployment web in namespace HERE\n"
        "    spec.replicas: 0 -> 1\n"
        "    spec.template.spec.containers[web].image: registry.invalid/web:1 -> registry.invalid/web:2\n"
        "2 to change\n",
        "",
    )
    assert "no-wait" not in orc("apply", "app.yaml", "--no-wait").out
    deleted = "Deployment web in namespace HERE: deleted\nSecret s in namespace HERE: deleted\n"
    assert orc("delete", "app.yaml") == Done(0, deleted, "")
    assert orc("delete", "app.yaml") == Done(0, "nothing of it is there\n", "")


CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
"""


def test_what_holds_data_is_deleted_only_when_that_is_said(orc: Orc, tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(CLAIM + APP, encoding="utf-8")
    assert orc("apply", "app.yaml", "--no-wait").code == 0
    deleted = "Deployment web in namespace HERE: deleted\nSecret s in namespace HERE: deleted\n"
    kept = "PersistentVolumeClaim data in namespace HERE: kept, it may hold data; --all deletes it\n"
    assert orc("delete", "app.yaml") == Done(0, deleted + kept, "")
    assert orc("delete", "app.yaml") == Done(0, kept, "")
    gone = "PersistentVolumeClaim data in namespace HERE: deleted\n"
    assert orc("delete", "app.yaml", "--all") == Done(0, gone, "")


def test_a_plan_for_machines(orc: Orc) -> None:
    found: list[Any] = json.loads(orc("plan", "app.yaml", "--format", "json").out)
    assert [(each["action"], each["kind"], each["name"]) for each in found] == [
        ("create", "Secret", "s"),
        ("create", "Deployment", "web"),
    ]


def test_the_mode_of_a_file_is_octal(orc: Orc, cluster_namespace: str, api: Any) -> None:
    assert orc("apply", "app.yaml", "--no-wait").code == 0
    live = api.get(f"/apis/apps/v1/namespaces/{cluster_namespace}/deployments/web")
    assert live["spec"]["template"]["spec"]["volumes"][0]["secret"]["defaultMode"] == 0o400


def test_mistakes_that_the_cluster_finds_are_told_with_their_place(orc: Orc, tmp_path: Path) -> None:
    changed(tmp_path / "app.yaml", ("replicas", "replica"), ("image:", "imagee:"), ("stringData", "stringdata"))
    done = orc("apply", "app.yaml")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "app.yaml:6:3: Deployment web in namespace HERE: unknown field spec.replica\n"
        "  hint: did you mean 'replicas'?\n"
        "app.yaml:15:11: Deployment web in namespace HERE: unknown field "
        "spec.template.spec.containers[0].imagee\n"
        "  hint: did you mean 'image'?\n"
        "app.yaml:25:1: Secret s in namespace HERE: unknown field stringdata\n"
        "  hint: did you mean 'stringData'?\n"
        "error: 3 problems\n"
    )


def test_what_leaves_the_files_is_pruned_by_its_set(orc: Orc, tmp_path: Path) -> None:
    assert orc("apply", "app.yaml", "--set", "app", "--no-wait").code == 0
    (tmp_path / "app.yaml").write_text(APP.partition("---\n")[2], encoding="utf-8")
    assert "- delete Deployment web" in orc("plan", "app.yaml", "--set", "app", "--prune").out
    dry = orc("apply", "app.yaml", "--set", "app", "--prune", "--dry-run")
    assert dry.out == (
        "Secret s in namespace HERE: unchanged (dry run)\nDeployment web in namespace HERE: deleted (dry run)\n"
    )
    done = orc("apply", "app.yaml", "--set", "app", "--prune")
    assert done.out == "Secret s in namespace HERE: unchanged\nDeployment web in namespace HERE: deleted\n"
    wrong = orc("apply", "app.yaml", "--prune")
    assert (wrong.code, "name it by --set" in wrong.err) == (2, True)


def test_what_does_not_get_ready_is_an_error_that_says_why(orc: Orc, tmp_path: Path) -> None:
    changed(tmp_path / "app.yaml", ("replicas: 0", "replicas: 1"))
    done = orc("apply", "app.yaml", "--timeout", "3")
    assert done.code == 5
    assert "error: Kubernetes: Deployment web in namespace HERE is not ready after 3 s: 0 of 1 pods are" in done.err


def test_a_pipeline_file_is_told_how_it_gets_to_a_cluster(orc: Orc) -> None:
    file = str(ROOT / "pipelines" / "penguins" / "pipeline.yaml")
    for command in ("apply", "plan", "delete"):
        done = orc(command, file)
        assert done.code == 2, done
        assert f"hint: orc compile {file} --format manifest --upload | orc apply -" in done.err


def test_an_endpoint_is_deleted_without_its_model_version(orc: Orc, definitions: None) -> None:
    file = str(ROOT / "pipelines" / "penguins" / "endpoint.yaml")
    assert orc("delete", file) == Done(0, "nothing of it is there\n", "")
    missing = orc("plan", file)
    assert (missing.code, "there is no registered model 'penguins'" in missing.err) == (4, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["apply", "none.yaml"], 2, "none.yaml: the file does not exist"),
        (["apply", "app.yaml", "-n", "e-none"], 5, "namespace e-none does not exist"),
        (["plan", "app.yaml", "--context", "none"], 5, "there is no context 'none' in "),
        (["apply"], 2, "missing argument 'FILE...'"),
    ],
)
def test_wrong_commands(orc: Orc, arguments: list[str], code: int, said: str) -> None:
    done = orc(*arguments)
    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err


def test_no_cluster_is_one_clear_error(orc: Orc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert orc("apply", "app.yaml").err == (
        f"error: Kubernetes: no cluster is known: there is no {tmp_path}/.kube/config\n"
        "  hint: kind create cluster --config kind-config.yaml, or set KUBECONFIG\n"
    )
