"""Images as they are built for real: locked down as on a cluster, with the versions that were tested, no tool left."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator import cli, registry
from orchestrator.errors import BackendError
from orchestrator.images import engine, recipe
from orchestrator.images.engine import Engine
from orchestrator.serving import declarations
from orchestrator.serving.kserve import payload

from .conftest import IMAGE, prepare

pytestmark = pytest.mark.containers

ROOT = Path(__file__).parents[2]
PENGUINS = ROOT / "pipelines" / "penguins"
OURS = ("batch_predict", "deploy", "evaluate", "ingest", "publish", "report", "train", "transform", "validate_schema")
TOOLS = ("pip", "pip3", "uv", "gcc", "cc", "g++", "make")
# As Pod Security "restricted" has it, and without a network.
LOCKED_DOWN = (
    *("--rm", "--read-only", "--tmpfs=/tmp", "--user=65532", "--cap-drop=ALL", "--network=none"),
    "--security-opt=no-new-privileges",
)
OWN = """\
\"\"\"A component of a user's own, with a package that is not ours.\"\"\"

import sys

import humanize

from components.words import greeting

print(greeting(), humanize.intcomma(1234567), sys.argv[1:])
"""


@dataclass(frozen=True)
class Built:
    """Images that were built, by the name that components give them."""

    engine: Engine
    references: Mapping[str, str]

    def run(self, name: str, *words: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        image = self.references[name]
        command = [self.engine.program, "run", *LOCKED_DOWN, *options, image, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def said(self, name: str, *words: str, options: tuple[str, ...] = ()) -> str:
        done = self.run(name, *words, options=options)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def labels(self, name: str) -> dict[str, str]:
        done = subprocess.run(engine.inspect(self.engine, self.references[name]), capture_output=True, check=True)
        config: Any = engine.read(done.stdout.decode())["Config"]
        labels: dict[str, str] = config["Labels"]
        return labels


@pytest.fixture(scope="module")
def builder() -> Engine:
    """An engine that builds and has the base; Docker's own client where the first one cannot."""
    told = []
    for program in ("docker", "/usr/bin/docker", "podman"):
        try:
            found = engine.find(program)
        except BackendError as error:
            told.append(error.message)
            continue
        if subprocess.run(engine.inspect(found, IMAGE), capture_output=True, check=False).returncode:
            if not prepare.TAR.exists():
                pytest.skip("the test image is not there: `make containers` makes it")
            subprocess.run([found.program, "import", str(prepare.TAR), IMAGE], capture_output=True, check=True)
        trial = [found.program, "run", "--rm", IMAGE, "true"]
        tried = subprocess.run(trial, capture_output=True, text=True, timeout=120, check=False)
        if tried.returncode:  # Where nothing starts, nothing is built.
            told.append(f"{program} starts nothing on this machine: {tried.stderr.strip()[-200:]}")
            continue
        return found
    pytest.skip("; ".join(told))


def build(builder: Engine, folder: Path, *words: str) -> Built:
    lock = folder / "images.lock.yaml"
    command = ["build", *words, "--lock", str(lock), "--base", IMAGE, "--engine", builder.program, "--network", "host"]
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("ORC_STATE", str(folder / "state"))
        assert cli.main(command) == 0
    images = yaml.safe_load(lock.read_text())["images"]
    return Built(builder, {name: held["reference"] for name, held in images.items()})


@pytest.fixture(scope="module")
def built(builder: Engine, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """All images of ours. They take minutes the first time, and what did not change is kept by the engine."""
    try:
        urllib.request.urlopen("https://pypi.org/simple/uv/", timeout=20).close()
    except OSError as error:
        pytest.skip(f"no package index answers: {error}")
    return build(builder, tmp_path_factory.mktemp("images"), *OURS, "server", "mlflow")


@pytest.mark.parametrize("name", OURS)
def test_a_component_starts_where_it_may_do_nothing(built: Built, name: str) -> None:
    said = built.said(f"orchestrator/{name}", "python", "-m", f"components.{name}", "--help")
    assert said.startswith("Flags, each with a value:\n  --")


@pytest.mark.parametrize("name", [*OURS, "server", "mlflow"])
def test_an_image_is_nobodys_and_holds_no_tools(built: Built, name: str) -> None:
    script = (
        'id -u; id -un; pwd; echo $HOME; for tool; do command -v "$tool"; done; touch /opt/x 2>/dev/null || echo no'
    )
    said = built.said(f"orchestrator/{name}", "sh", "-c", script, "sh", *TOOLS).splitlines()
    assert said == ["65532", "orchestrator", "/tmp", "/tmp", "no"]
    tried = built.run(f"orchestrator/{name}", "python", "-c", "import pip")
    assert "No module named 'pip'" in tried.stderr
    left = "find / -xdev ( -name ensurepip -o -name '*.whl' -o -path '/root/.cache/*' ) 2>/dev/null; true"
    assert built.said(f"orchestrator/{name}", "sh", "-c", left.replace("(", "\\(").replace(")", "\\)")) == ""


def test_an_image_says_what_it_is(built: Built) -> None:
    labels = built.labels("orchestrator/train")
    oci = {name.removeprefix("org.opencontainers.image."): text for name, text in labels.items()}
    assert oci["title"] == "orchestrator/train"
    assert oci["description"].startswith("Train a model")
    assert oci["licenses"] == "Apache-2.0"
    assert oci["base.name"] == IMAGE
    assert built.references["orchestrator/train"].endswith(f":{labels['orc.key']}")


@pytest.mark.parametrize(("name", "lock"), [("train", "components"), ("server", "components"), ("mlflow", "mlflow")])
def test_an_image_holds_the_versions_of_the_lock(built: Built, name: str, lock: str) -> None:
    program = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    held = json.loads(built.said(f"orchestrator/{name}", "python", "-c", program))
    text = (recipe.FILES / f"{lock}.lock.txt").read_text()
    # Some packages have another version for another Python.
    pins = {pin.partition("==")[::2] for pin in re.findall(r"^[A-Za-z0-9._-]+==[^ ;\\]+", text, re.MULTILINE)}
    plain = {re.sub(r"[-_.]+", "-", each).lower(): version for each, version in held.items()}
    assert set(plain.items()) - pins == set()
    assert {"numpy", "scikit-learn"} <= set(plain)


def test_what_is_imported_is_compiled(built: Built) -> None:
    program = "import components.train.train as t; print(t.__cached__ and __import__('os').path.exists(t.__cached__))"
    assert built.said("orchestrator/train", "python", "-c", program) == "True\n"


class Work:
    """A folder that containers read and write at its own path, and the components that run over it."""

    def __init__(self, built: Built, folder: Path) -> None:
        self.built = built
        self.folder = folder
        folder.chmod(0o777)
        for name in ("penguins.csv", "schema.yaml"):
            shutil.copy(next(PENGUINS.rglob(name)), folder)

    def __call__(self, component: str, **arguments: object) -> Path:
        """Run a component in its image. Returns the folder of its outputs, each under its name."""
        place = self.folder / component
        place.mkdir()
        place.chmod(0o777)
        declared = yaml.safe_load((ROOT / "components" / component / "component.yaml").read_text())
        words = ["python", "-m", f"components.{component}"]
        for name, value in arguments.items():
            words += [f"--{name}", value if isinstance(value, str) else json.dumps(value)]
        for name in declared["outputs"]:
            words += [f"--{name}", str(place / name)]
        mount = f"--volume={self.folder}:{self.folder}"
        tracking = f"--env=MLFLOW_TRACKING_URI=sqlite:///{self.folder}/mlflow.db"
        self.built.said(f"orchestrator/{component}", *words, options=(mount, tracking))
        return place


@pytest.fixture(scope="module")
def published(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that went from data to a registered version, each component in its image."""
    work = Work(built, tmp_path_factory.mktemp("work"))
    rows = work("ingest", source=str(work.folder / "penguins.csv"), key=["id"], split={"train": 0.7, "test": 0.3})
    work("validate_schema", data=str(rows / "train"), schema=str(work.folder / "schema.yaml"), fail_on="never")
    fitted = work("transform", data=str(rows / "train"), target="species")
    model = work(
        *("train",),
        data=str(rows / "train"),
        transform=str(fitted / "transform"),
        target="species",
        algorithm="logistic_regression",
    )
    measured = work("evaluate", model=str(model / "model"), data=str(rows / "test"), target="species")
    named = {"model": str(model / "model"), "metrics": str(measured / "metrics"), "name": "penguins"}
    assert (work("publish", **named, rules=["f1 > 0.85"]) / "published").read_text() == "true"
    return work.folder


@pytest.fixture
def served(built: Built, published: Path) -> Iterator[str]:
    """The address of a server of the published model."""
    port = "18080"
    uri = f"sqlite:///{published}/mlflow.db"
    name = f"orc-test-{os.getpid()}"
    options = [f"--volume={published}:{published}", "--network=host", f"--name={name}", "--detach"]
    told = [f"--env=ORC_DECLARATION={declaration(uri)}", f"--env=MLFLOW_TRACKING_URI={uri}"]
    locked_down = [each for each in LOCKED_DOWN if each not in ("--rm", "--network=none")]
    entry = ["python", "-m", "orchestrator.deployment.served", "--port", port]
    run = [built.engine.program, "run", *locked_down, *options, *told, built.references["orchestrator/server"], *entry]
    subprocess.run(run, check=True, capture_output=True)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        print(subprocess.run([built.engine.program, "logs", name], capture_output=True, text=True, check=False))
        subprocess.run([built.engine.program, "rm", "--force", name], check=False, capture_output=True)


def declaration(uri: str) -> str:
    found = registry.open(uri).version("models:/penguins/1")
    variant = {"name": "main", "model": "penguins", "version": "1", "path": "", "digest": found.digest}
    named = {"metadata": {"name": "penguins"}, "variants": [{"name": "main", "model": "penguins"}]}
    spec = {"apiVersion": "orchestrator/v1", "kind": "Endpoint", **named}
    plain = {"version": 1, "name": "penguins", "variants": [variant], "spec": spec}
    return payload.dump(declarations.load(json.dumps(plain)))


def test_the_server_answers_with_a_model_that_images_made(served: str) -> None:
    until = time.monotonic() + 90
    while not answers(f"{served}/v2/health/ready"):
        assert time.monotonic() < until
        time.sleep(0.2)
    row = {"island": "Torgersen", "bill_length_mm": 39.5, "bill_depth_mm": 17.4, "flipper_length_mm": 186}
    asked = json.dumps({"instances": [{**row, "body_mass_g": 3800, "sex": "female", "id": 1, "year": 2007}]}).encode()
    with urllib.request.urlopen(f"{served}/v1/models/penguins:predict", data=asked, timeout=20) as answer:
        assert json.loads(answer.read())["predictions"] == ["Adelie"]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A user's own component, in a folder of its own."""

    def project(requirements: str) -> Path:
        files = {
            "components/own/__main__.py": OWN,
            "components/own/requirements.txt": requirements,
            "components/own/component.yaml": "apiVersion: orchestrator/v1\nkind: Component\nmetadata: {name: own}\n"
            "container: {image: acme/own, command: [python, -m, components.own]}\n",
            "components/own/secrets.yaml": "password",
            "components/words.py": 'def greeting():\n    return "good day"\n',
            "secret.txt": "password",
        }
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return tmp_path

    monkeypatch.chdir(tmp_path)
    return project


@pytest.mark.usefixtures("built")
def test_a_users_own_component_is_built_the_same_way(builder: Engine, project: Callable[[str], Path]) -> None:
    made = build(builder, project("humanize==4.9.0\n"), "own")
    said = made.said("acme/own", "python", "-m", "components.own", "one", "two")
    assert said == "good day 1,234,567 ['one', 'two']\n"
    listed = made.said("acme/own", "find", "/opt/code/components", "-name", "*.py", "-o", "-name", "*.yaml")
    assert sorted(line.removeprefix("/opt/code/") for line in listed.split()) == [
        "components/own/__main__.py",
        "components/own/component.yaml",
        "components/words.py",
    ]


@pytest.mark.usefixtures("built")
def test_a_package_nobody_asked_for_is_missed_when_it_is_built(
    builder: Engine, project: Callable[[str], Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project("")
    monkeypatch.setenv("ORC_STATE", str(folder / "state"))
    command = ["build", "own", "--base", IMAGE, "--engine", builder.program, "--network", "host"]
    assert cli.main(command) == 5
    said = capsys.readouterr().err
    assert "components/own/__main__.py imports humanize, which no requirements.txt asks for" in said
    assert "hint: add the package to" in said
