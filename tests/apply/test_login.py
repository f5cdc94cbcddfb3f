"""Which cluster, as whom: kubeconfigs of every kind, the account of a pod, a mounted token that is renewed."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator import cluster
from orchestrator.errors import BackendError


def kubeconfig(path: Path, *, current: str = "dev", user: Any = None, server: Any = None) -> dict[str, str]:
    """A kubeconfig of two contexts, and the environment that names it."""
    made = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": "http://127.0.0.1:1", **(server or {})}}],
        "users": [{"name": "ana", "user": user if user is not None else {"token": "t-ana"}}],
        "contexts": [
            {"name": "dev", "context": {"cluster": "here", "user": "ana", "namespace": "of-dev"}},
            {"name": "prod", "context": {"cluster": "here", "user": "ana"}},
        ],
        "current-context": current,
    }
    path.write_text(yaml.safe_dump(made), encoding="utf-8")
    return {"KUBECONFIG": str(path), "HOME": str(path.parent)}


def failed(environment: dict[str, str], **given: str) -> str:
    with pytest.raises(BackendError) as caught:
        cluster.connect(environment=environment, **given)
    return str(caught.value)


def test_the_namespace_is_the_given_one_then_the_contexts_then_default(tmp_path: Path) -> None:
    environment = kubeconfig(tmp_path / "config")
    assert cluster.connect(environment=environment).namespace == "of-dev"
    assert cluster.connect(environment=environment, namespace="mine").namespace == "mine"
    assert cluster.connect(environment=environment, context="prod").namespace == "default"


def test_the_token_of_the_user_is_sent(tmp_path: Path) -> None:
    found = cluster.connect(environment=kubeconfig(tmp_path / "config"))
    assert found.api.authorization() == "Bearer t-ana"
    assert "t-ana" not in repr(found)


def test_a_kubeconfig_is_looked_for_at_home(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube" / "config")
    assert cluster.connect(environment={"HOME": str(tmp_path)}).namespace == "of-dev"


def test_several_files_are_one(tmp_path: Path) -> None:
    environment = kubeconfig(tmp_path / "config")
    environment["KUBECONFIG"] = f"{tmp_path / 'none'}:{environment['KUBECONFIG']}"
    assert cluster.connect(environment=environment).namespace == "of-dev"


def test_no_kubeconfig(tmp_path: Path) -> None:
    hint = "\n  hint: kind create cluster --config kind-config.yaml, or set KUBECONFIG"
    assert failed({"HOME": str(tmp_path)}) == (
        f"Kubernetes: no cluster is known: there is no {tmp_path}/.kube/config{hint}"
    )
    assert failed({"HOME": str(tmp_path), "KUBECONFIG": "/none"}) == (
        f"Kubernetes: no cluster is known: $KUBECONFIG names /none, which does not exist{hint}"
    )


def test_a_context_that_is_not_there(tmp_path: Path) -> None:
    assert failed(kubeconfig(tmp_path / "config"), context="prof") == (
        f"Kubernetes: there is no context 'prof' in {tmp_path}/config\n  hint: did you mean 'prod'?"
    )


def test_no_current_context(tmp_path: Path) -> None:
    told = failed(kubeconfig(tmp_path / "config", current=""))
    assert told.startswith(f"Kubernetes: {tmp_path}/config names no current context")


@pytest.mark.parametrize("text", ["", "][", "just text", "apiVersion: v1\nkind: Config\n", "\x00"])
def test_a_kubeconfig_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text, encoding="utf-8")
    told = failed({"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "config")})
    assert told.startswith(f"Kubernetes: {tmp_path}/config ")


def test_a_current_context_that_is_not_there(tmp_path: Path) -> None:
    told = failed(kubeconfig(tmp_path / "config", current="stage"))
    assert told.startswith(f"Kubernetes: {tmp_path}/config: its current context stage is not in it")


def test_a_certificate_that_is_not_there(tmp_path: Path) -> None:
    server = {"server": "https://127.0.0.1:1", "certificate-authority": "/none/ca.crt"}
    assert "/none/ca.crt" in failed(kubeconfig(tmp_path / "config", server=server))


def plugin(tmp_path: Path, text: str) -> dict[str, Any]:
    program = tmp_path / "login.sh"
    program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    program.chmod(0o755)
    return {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "interactiveMode": "Never"}
    }


def test_a_program_that_logs_in(tmp_path: Path) -> None:
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "t-exec"},
    }
    user = plugin(tmp_path, f"echo '{json.dumps(credential)}'")
    found = cluster.connect(environment=kubeconfig(tmp_path / "config", user=user))
    assert found.api.authorization() == "Bearer t-exec"


def test_a_program_that_cannot_log_in(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    user = plugin(tmp_path, "exit 3")
    told = failed(kubeconfig(tmp_path / "config", user=user))
    assert "the program that logs in failed" in told
    assert capfd.readouterr().err == ""
    assert logging.getLogger().handlers == before


@pytest.fixture
def account(tmp_path: Path) -> Path:
    folder = tmp_path / "account"
    folder.mkdir()
    (folder / "token").write_text("t-1\n", encoding="utf-8")
    (folder / "ca.crt").write_text("certificates", encoding="utf-8")
    (folder / "namespace").write_text("of-pod", encoding="utf-8")
    return folder


POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def test_a_mounted_token_is_read_again_when_it_was_renewed(account: Path) -> None:
    found = cluster.connect_with_token(account, environment=POD)
    assert (found.namespace, found.api.host) == ("of-pod", "https://10.0.0.1:443")
    assert found.api.authorization() == "Bearer t-1"
    (account / "token").write_text("t-2", encoding="utf-8")
    assert found.api.authorization() == "Bearer t-2"


def test_an_address_of_the_sixth_version(account: Path) -> None:
    found = cluster.connect_with_token(account, environment={**POD, "KUBERNETES_SERVICE_HOST": "fd00::1"})
    assert found.api.host == "https://[fd00::1]:443"


@pytest.mark.parametrize("name", ["token", "ca.crt"])
def test_an_account_that_is_not_whole(account: Path, name: str) -> None:
    (account / name).unlink()
    with pytest.raises(BackendError, match=rf"{name} cannot be read: No such file"):
        cluster.connect_with_token(account, environment=POD)
    (account / name).write_text("", encoding="utf-8")
    with pytest.raises(BackendError, match=rf"{name} is empty"):
        cluster.connect_with_token(account, environment=POD)


def test_a_token_outside_of_a_cluster(account: Path) -> None:
    with pytest.raises(BackendError, match="KUBERNETES_SERVICE_HOST is not set"):
        cluster.connect_with_token(account, environment={})


def test_importing_us_does_not_load_the_client() -> None:
    import subprocess
    import sys

    code = "import sys, orchestrator.cluster; sys.exit('kubernetes' in sys.modules or 'urllib3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
