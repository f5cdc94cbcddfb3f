"""Models with code of their own, from `orc models import` to a served endpoint, as users start all of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator import program
from orchestrator.serving import declarations, local

ROOT = Path(__file__).parent.parent.parent
MODELS = ROOT / "tests" / "serving" / "models"
ENDPOINT = """
apiVersion: orchestrator/v1
kind: Endpoint
metadata: {name: scores}
variants:
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A project folder, and what is done in it."""

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / ".orc"

    def orc(self, *words: str | Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
        if path is not None:
            environment["PYTHONPATH"] = str(path)
        command = [sys.executable, "-m", "orchestrator", *map(str, words)]
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert "Traceback" not in done.stderr
        return done

    def bring(self, source: Path, name: str, *words: str) -> None:
        done = self.orc("models", "import", source, "--name", name, "--approval", "approved", *words)
        assert done.returncode == 0, done.stderr

    def deploy(self, version: str, *variants: str) -> program.Result:
        file = self.folder / f"endpoint-{time.monotonic_ns()}.yaml"
        file.write_text(ENDPOINT + "".join(f"  - {variant}\n" for variant in variants))
        said = {"ORC_STATE": str(self.state), "MLFLOW_TRACKING_URI": f"sqlite:///{self.state / 'mlflow.db'}"}
        outputs = self.folder / f"outputs-{time.monotonic_ns()}"
        given = {"version": version, "endpoint": file}
        return program.invoke(ROOT / "components" / "deploy", given, outputs, environment=said)

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, str, str]:
        server = local.find(self.state)
        assert server is not None
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        address = server.url.removeprefix("http://")
        with contextlib.closing(http.client.HTTPConnection(address, timeout=60)) as connection:
            connection.request("GET" if raw is None else "POST", path, raw, told)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.getheader("content-type") or ""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    yield Place(tmp_path)
    state = tmp_path / ".orc"
    for name in declarations.names(state):
        declarations.remove(state, name)
    if (server := local.find(state)) is not None:
        os.kill(server.pid, signal.SIGKILL)


def heavier(folder: Path) -> Path:
    """The scorer with other weights, as SageMaker is given it: a model.tar.gz."""
    shutil.copytree(MODELS / "scorer", folder / "heavier")
    (folder / "heavier" / "weights.json").write_text('{"weights": [20, 10]}')
    with tarfile.open(folder / "model.tar.gz", "w:gz") as tar:
        tar.add(folder / "heavier", ".")
    return folder / "model.tar.gz"


def test_two_versions_of_a_program_are_served_side_by_side(place: Place) -> None:
    place.bring(MODELS / "scorer", "scorer")
    place.bring(heavier(place.folder), "scorer")
    done = place.deploy("scorer/2", "{name: new, model: scorer, weight: 1}", "{name: old, model: scorer/1, weight: 0}")
    assert (done.code, done.stderr) == (0, "")
    assert "scorer version 2 answered its example in a process of its own" in done.stdout

    row = {"instances": [{"mass": 3.5, "length": 1}]}
    predict = "/v1/models/scores:predict"
    assert place.ask(predict, row) == (200, '{"predictions": [80.0]}', "application/json")
    assert place.ask(predict, row, x_variant="old") == (200, '{"predictions": [8.0]}', "application/json")
    csv = place.ask(predict, b"1,2\n3,4\n", content_type="text/csv", accept="text/csv", x_variant="old")
    assert csv == (200, "4.0\n10.0\n", "text/csv")

    # V2: columns in, and what metadata promises comes out.
    _, text, _ = place.ask("/v2/models/scores")
    about = json.loads(text)
    assert about["platform"] == "handlers"
    assert [(each["name"], each["datatype"]) for each in about["inputs"]] == [("mass", "FP64"), ("length", "FP64")]
    tensors = [{"name": name, "datatype": "FP64", "shape": [2], "data": [1, 2]} for name in ("mass", "length")]
    status, text, _ = place.ask("/v2/models/scores/infer", {"inputs": tensors})
    (output,) = json.loads(text)["outputs"]
    assert (status, output["name"], output["data"]) == (200, "prediction", [30.0, 60.0])
    assert [(each["name"], each["datatype"]) for each in about["outputs"]] == [(output["name"], output["datatype"])]

    # What the client did wrong is said to the client, what the program did to the log.
    status, text, _ = place.ask(predict, {"instances": [{"mass": -1, "length": 1}]})
    assert (status, json.loads(text)) == (400, {"error": "mass must not be negative"})
    status, text, _ = place.ask(predict, {"instances": [{"mass": 13, "length": 1}]})
    assert status == 500
    assert "secret" not in text
    assert "the secret of the model is in its log" in (place.state / "server.log").read_text()
    status, _, _ = place.ask(predict, {"instances": [{"mass": 14, "length": 1}]})
    assert status == 500  # It called exit: the server goes on.
    assert place.ask(predict, row)[0] == 200
    status, page, _ = place.ask("/", accept="text/html")
    assert status == 200
    assert "scores" in page


def test_a_program_that_takes_no_rows_is_served_with_its_own_example(place: Place) -> None:
    source = place.folder / "loud"
    source.mkdir()
    (source / "inference.py").write_text(
        "def model_fn(d):\n  return None\ndef transform_fn(m, body, kind, accept):\n  return body.upper(), kind\n"
    )
    (source / "hello.txt").write_text("it's quiet\n")
    place.bring(source, "loud", "--example", str(source / "hello.txt"))
    done = place.deploy("loud/1", "{name: main, model: loud, weight: 1}")
    assert (done.code, done.stderr) == (0, "")
    (again,) = [line for line in done.stdout.splitlines() if "again:" in line]
    command = again.partition("again:")[2].strip()
    asked = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert asked.stdout == "IT'S QUIET\n"
    status, text, _ = place.ask(
        "/v2/models/scores/infer", {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [1]}]}
    )
    assert status == 400
    assert "takes bodies of its own, not rows: POST what it takes to /v1/models/scores:predict" in text
    assert place.ask("/", accept="text/html")[0] == 200


def test_what_serving_lacks_fails_the_check_before_anything_is_deployed(place: Place) -> None:
    """AS-40: a requirement that the place of serving does not have."""
    place.bring(MODELS / "scorer", "scorer")
    assert place.deploy("scorer/1", "{name: main, model: scorer, weight: 1}").code == 0
    needy = place.folder / "needy"
    shutil.copytree(MODELS / "scorer", needy)
    (needy / "code" / "requirements.txt").write_text("numpy>=2\nrare-package>=1.2\n")
    done = place.orc("models", "import", needy, "--name", "scorer")
    assert done.returncode == 1
    assert "requirements.txt is not met here: rare-package>=1.2 is not installed" in done.stderr
    assert "-m pip install 'rare-package>=1.2'" in done.stderr

    # Where it was imported the package is there;
    library = place.folder / "library"
    (library / "rare_package-1.3.dist-info").mkdir(parents=True)
    told = "Metadata-Version: 2.1\nName: rare-package\nVersion: 1.3\n"
    (library / "rare_package-1.3.dist-info" / "METADATA").write_text(told)
    done = place.orc("models", "import", needy, "--name", "scorer", "--approval", "approved", path=library)
    assert done.returncode == 0, done.stderr
    # where it is deployed it is not: nothing is touched, and what is served goes on.
    known = (place.state / "endpoints" / "scores.json").read_bytes()
    failed = place.deploy("scorer/2", "{name: main, model: scorer, weight: 1}")
    assert failed.code != 0
    assert "not deployed, and nothing was changed: scorer version 2:" in failed.stderr
    assert "rare-package>=1.2 is not installed" in failed.stderr
    assert (place.state / "endpoints" / "scores.json").read_bytes() == known
    assert place.ask("/v1/models/scores:predict", {"instances": [{"mass": 1, "length": 1}]})[0] == 200


def test_import_tells_what_it_found_and_waits_for_approval(place: Place) -> None:
    done = place.orc("models", "import", MODELS / "adder", "--name", "adder")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "entry:    model.py:Adder"
    assert lines[1] == "requires: nothing"
    assert lines[2].startswith('answered: {"predictions":[13],"loops":1,"by":"Adder"} (application/json, ready after')
    assert lines[3:] == [
        "columns:  x0 (number), x1 (number)",
        "adder version 1 is pending",
        "to deploy it: orc models approve adder/1",
    ]
    tried = place.orc("models", "import", MODELS / "scorer", "--name", "adder", "--dry-run")
    assert tried.stdout.splitlines()[-1] == "nothing was registered"
    listed = json.loads(place.orc("models", "list", "--format", "json").stdout)
    assert [(each["name"], each["version"], each["approval"]) for each in listed] == [("adder", "1", "pending")]
    assert place.orc("models", "approve", "adder/1").stdout == "adder version 1 is approved, champion\n"
