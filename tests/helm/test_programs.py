"""What the chart starts: MLflow knows its options and variables; programs of its own do what they say."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.helm.conftest import CHART, Renders, only

FILES = CHART / "files"
# Variables that are not MLflow's: those of Python, of the object store's client, and of every pod.
_OTHERS = {"HOME", "DO_NOT_TRACK", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "POD_IP", "ALLOWED_HOSTS"}
_OTHERS |= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"}


def _mlflow(render: Renders, name: str) -> Mapping[str, Any]:
    deployment = only(render(CHART / "ci" / f"{name}-values.yaml"), "Deployment")
    found: Mapping[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return found


@pytest.fixture(scope="module")
def known() -> tuple[set[str], set[str]]:
    """Options and variables of `mlflow server`, as the version of the tests has them."""
    text = (
        "from mlflow.cli import server\nimport mlflow.environment_variables as v\n"
        "print(*(o for p in server.params for o in p.opts))\n"
        "print(*(p.envvar for p in server.params if isinstance(p.envvar, str)), *(n for n in dir(v) if n.isupper()))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=240, check=True)
    options, variables = done.stdout.strip().splitlines()[-2:]
    return set(options.split()), set(variables.split())


@pytest.mark.parametrize("name", ["default", "postgres-s3", "full"])
def test_mlflow_knows_what_it_is_told(name: str, render: Renders, known: tuple[set[str], set[str]]) -> None:
    container = _mlflow(render, name)
    options, variables = known
    assert container["command"] == ["mlflow", "server"]
    assert {each.split("=")[0] for each in container["args"]} <= options
    # MLFLOW_S3_ENDPOINT_URL is read by its store of artifacts, and no option of the server.
    given = {each["name"] for each in container["env"]} - _OTHERS - {"MLFLOW_S3_ENDPOINT_URL"}
    assert given <= variables


def test_hosts_that_are_not_ours_are_not_allowed(render: Renders) -> None:
    """As MLflow matches them: `*` stands for anything."""
    from fnmatch import fnmatch

    variables = {each["name"]: each.get("value", "") for each in _mlflow(render, "full")["env"]}
    patterns = variables["ALLOWED_HOSTS"].split(",")

    def allowed(host: str) -> bool:
        return any(fnmatch(host, each) for each in patterns)

    for host in (
        "orchestrator-mlflow.somewhere.svc:5000",
        "orchestrator-mlflow.somewhere.svc.cluster.local:5000",
        "localhost:5000",
        "mlflow.example.com",
        "mlflow.internal",
    ):
        assert allowed(host), host
    for host in ("evil.example.com", "mlflow.example.com.evil.com", "10.0.0.7:5000", "localhost.evil.com:5000"):
        assert not allowed(host), host


def test_a_pod_is_scraped_by_its_address(render: Renders) -> None:
    container = _mlflow(render, "full")
    names = [each["name"] for each in container["env"]]
    assert names.index("POD_IP") < names.index("ALLOWED_HOSTS")
    assert "$(POD_IP):5000" in {each["name"]: each.get("value", "") for each in container["env"]}["ALLOWED_HOSTS"]


def _run(text: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    command = [sys.executable, "-c", text]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def registry() -> Iterator[tuple[str, dict[str, int], list[str]]]:
    """A server that answers paths with the status it is told, and keeps who asked."""
    answers: dict[str, int] = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization", ""))
            status = answers.get(self.path.split("?", maxsplit=1)[0], 200)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"{}" if status == 200 else b"Invalid Host header")

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answers, asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_test_of_mlflow_tells_a_server_that_answers_from_one_that_does_not(
    registry: tuple[str, dict[str, int], list[str]], render: Renders
) -> None:
    uri, answers, asked = registry
    (container,) = only(render(), "Pod", "orchestrator-test-mlflow")["spec"]["containers"]
    text = container["args"][0]
    search = "/api/2.0/mlflow/registered-models/search"
    assert _run(text, MLFLOW_TRACKING_URI=uri).returncode == 0
    assert _run(text, MLFLOW_TRACKING_URI=uri, MLFLOW_TRACKING_TOKEN="abc").returncode == 0
    assert asked == ["", "", "Bearer abc", "Bearer abc"]
    answers[search] = 401
    assert _run(text, MLFLOW_TRACKING_URI=uri).returncode == 0
    answers[search] = 403
    refused = _run(text, MLFLOW_TRACKING_URI=uri)
    assert refused.returncode == 1
    assert f"{uri}{search}?max_results=1 answered 403: Invalid Host header" in refused.stderr
    nobody = _run(text, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert nobody.returncode == 1
    assert "Connection refused" in nobody.stderr
    assert "Traceback" not in nobody.stderr


def test_tables_are_brought_up_to_date_and_an_empty_database_is_left_alone(tmp_path: Path) -> None:
    text = (FILES / "migrate.py").read_text(encoding="utf-8")
    place = tmp_path / "mlflow.db"
    uri = f"sqlite:///{place}"
    empty = _run(text, MLFLOW_BACKEND_STORE_URI=uri)
    assert empty.returncode == 0, empty.stderr
    assert "The database is empty" in empty.stdout
    # The tables as they were one version of MLflow's tables ago.
    older = (
        "import os, alembic.command, mlflow.store.db.utils as u\nfrom alembic.script import ScriptDirectory\n"
        "from sqlalchemy import create_engine\n"
        "u.InitialBase.metadata.create_all(create_engine(os.environ['URI']))\n"
        "config = u._get_alembic_config(os.environ['URI'])\nscripts = ScriptDirectory.from_config(config)\n"
        "head = scripts.get_current_head()\nalembic.command.upgrade(config, scripts.get_revision(head).down_revision)\n"
        "print(head)"
    )
    made = _run(older, URI=uri)
    assert made.returncode == 0, made.stderr
    head = made.stdout.split()[-1]
    assert _version(place) != head
    done = _run(text, MLFLOW_BACKEND_STORE_URI=uri)
    assert done.returncode == 0, done.stderr
    assert _version(place) == head


def _version(database: Path) -> str:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return str(connection.execute("select version_num from alembic_version").fetchone()[0])
