"""Real models in real folders, and a real server process over each test's own state folder."""

from __future__ import annotations

import contextlib
import http.client
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from orchestrator.model import fit, folder, frame, transform
from orchestrator.model.manifest import Manifest
from orchestrator.model.signature import Column, Signature
from orchestrator.serving import backends, declarations, local
from orchestrator.serving.answer import Answering
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.exchange import Exchange
from orchestrator.serving.host import Host
from orchestrator.serving.metrics import Metrics
from orchestrator.serving.work import Work

PENGUINS = Path(__file__).parent.parent.parent / "pipelines" / "penguins" / "data" / "penguins.csv"
NUMBERS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]


@dataclass(frozen=True, slots=True)
class Folder:
    """A saved model and what must come out of it."""

    path: Path
    digest: str
    examples: list[dict[str, Any]]
    predictions: list[Any]


def _save(path: Path, table: pd.DataFrame, target: str, estimator: Any, inputs: list[str]) -> Folder:
    described, columns = frame.columns(table[inputs])
    fitted = fit.fit(None, columns, described, target=target, scaled=True)
    _, matrix = transform.apply(fitted, columns)
    classes = None
    labels: Any = table[target].to_numpy()
    kind = "number"
    if isinstance(estimator, LogisticRegression):
        names = sorted(set(labels))
        classes, kind = tuple(names), "string"
        labels = np.array([names.index(label) for label in labels])
    estimator.fit(matrix, labels)
    examples = frame.records(table[inputs], described, 3)
    manifest = Manifest(
        flavor="sklearn",
        algorithm="linear",
        problem="classification" if classes else "regression",
        signature=Signature(fitted.inputs, (Column(target, kind),), ("note",)),  # type: ignore[arg-type]
        target=target,
        classes=classes,
        example=tuple(examples),
    )
    folder.save(path, manifest, fitted, estimator)
    predictions = folder.load(path).predict_records(examples).values.tolist()
    return Folder(path, folder.digest(path), examples, predictions)


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    return pd.read_csv(PENGUINS).dropna(subset=NUMBERS)


@pytest.fixture(scope="session")
def penguins(tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame) -> Folder:
    """Species from measurements and two text columns; one of them may be missing."""
    path = tmp_path_factory.mktemp("models") / "penguins"
    return _save(path, table, "species", LogisticRegression(max_iter=500), ["island", *NUMBERS, "sex"])


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame) -> Folder:
    """Species from four numbers: what fits one [rows, 4] tensor."""
    path = tmp_path_factory.mktemp("models") / "measured"
    return _save(path, table, "species", LogisticRegression(max_iter=500, C=0.1), NUMBERS)


@pytest.fixture(scope="session")
def mass(tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame) -> Folder:
    """A regression: body mass from three numbers."""
    path = tmp_path_factory.mktemp("models") / "mass"
    return _save(path, table, "body_mass_g", LinearRegression(), NUMBERS[:3])


SLOW = """
import time


class Slow:
    def predict(self, rows):
        seconds = float(rows[0, 0])
        if seconds == -1:
            raise ValueError("minus one is no time")
        if seconds < 0:
            raise RuntimeError("the model has a bug")
        time.sleep(seconds)
        return rows[:, 0]
"""


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A model that takes as many seconds as its input says; the server finds its class by PYTHONPATH."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "slow_model.py").write_text(SLOW)
    monkeypatch.syspath_prepend(code)
    monkeypatch.setenv("PYTHONPATH", str(code))
    sys.modules.pop("slow_model", None)
    estimator = importlib.import_module("slow_model").Slow()
    inputs = (Column("seconds", "number"),)
    fitted = transform.Transform(inputs, (), ("seconds",))
    example = ({"seconds": 0.01},)
    manifest = Manifest("sklearn", "slow", "regression", Signature(inputs, (Column("y", "number"),)), example=example)
    path = tmp_path / "slow"
    folder.save(path, manifest, fitted, estimator)
    return Folder(path, folder.digest(path), [dict(each) for each in example], [0.01])


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back over HTTP."""

    status: int
    text: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def ask(url: str, path: str, body: Any = None, *, method: str = "", headers: dict[str, str] | None = None) -> Reply:
    """One request on a connection of its own; a body that is not bytes is sent as JSON."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    with contextlib.closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)) as connection:
        connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
        response = connection.getresponse()
        text = response.read().decode()
        return Reply(response.status, text, {name.lower(): value for name, value in response.getheaders()})


@pytest.fixture(name="ask", scope="session")
def _ask() -> Callable[..., Reply]:
    return ask


Declare = Callable[..., Declaration]


def declaration(name: str, *models: Folder, weights: tuple[float, ...] = (), **limits: Any) -> Declaration:
    """A declaration as deploy makes it: one variant per model, versions counted from 1."""
    shares = weights or (1.0,) * len(models)
    variants = [
        {"name": f"v{number}", "model": name, "version": str(number), "path": str(model.path), "digest": model.digest}
        | {"weight": share}
        for number, (model, share) in enumerate(zip(models, shares, strict=True), start=1)
    ]
    spec = {
        "apiVersion": "orchestrator/v1",
        "kind": "Endpoint",
        "metadata": {"name": name},
        "variants": [{"name": variant["name"], "model": name} for variant in variants],
        "limits": limits,
    }
    plain = {
        "version": 1,
        "name": name,
        "variants": variants,
        "spec": spec,
        "example": {"inputs": models[0].examples},
        "declared_at": datetime.now(UTC).isoformat(),
    }
    return declarations.load(json.dumps(plain))


@pytest.fixture(name="declaration", scope="session")
def _declaration() -> Declare:
    return declaration


def told(declared: Declaration, **sections: Any) -> Declaration:
    """The declaration with these sections in its endpoint file: batching={"rows": 8}, mode="serverless" ..."""
    plain = json.loads(declarations.dump(declared))
    shadows = sections.pop("shadows", {})
    for each in (*plain["variants"], *plain["spec"]["variants"]):
        if each["name"] in shadows:
            each |= {"shadow": shadows[each["name"]], "weight": 0}
    plain["spec"] |= sections
    return declarations.load(json.dumps(plain))


@pytest.fixture(name="told", scope="session")
def _told() -> Declare:
    return told


@dataclass(slots=True)
class Core:
    """The server without its process and without HTTP."""

    state: Path
    host: Host
    answering: Answering

    def declare(self, *declared: Declaration) -> None:
        for each in declared:
            declarations.write(self.state, each)
        self.host.refresh()

    async def ask(self, name: str, records: list[dict[str, Any]], **headers: str) -> Exchange:
        said = {key.replace("_", "-"): value for key, value in headers.items()}
        return await self.answering.answer(name, "v1", json.dumps({"instances": records}).encode(), said)

    def count(self, sample: str, **labels: str) -> float:
        """What the metrics say; 0 for what they do not have."""
        return self.host.metrics.registry().get_sample_value(sample, labels) or 0.0


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Callable[..., Core]]:
    """Makes one, of a state folder of its own; `watchers` and `room` are the host's."""
    made: list[Work] = []

    def make(folder: Path | None = None, **about: Any) -> Core:
        folder = folder or tmp_path / f"core{len(made)}"
        made.append(Work(4))
        host = Host(folder, about.pop("load", backends.load), Metrics(), **about)
        return Core(folder, host, Answering(host, made[-1]))

    yield make
    for work in made:
        work.close()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder; whatever server it has in the end is stopped."""
    folder = tmp_path / "state"
    folder.mkdir()
    yield folder
    for name in declarations.names(folder):
        declarations.remove(folder, name)
    server = local.find(folder)
    if server is not None:
        os.kill(server.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, penguins: Folder, measured: Folder, mass: Folder) -> Iterator[str]:
    """The URL of one server with three endpoints, for tests that only ask."""
    state = tmp_path_factory.mktemp("served")
    declared = [
        declaration("penguins", penguins, body="100Ki"),
        declaration("measured", measured, penguins, weights=(1, 0)),
        declaration("mass", mass),
    ]
    for each in declared:
        local.declare(state, each)
    server = local.ensure(state)
    for each in declared:
        local.wait_ready(server.url, each)
    yield server.url
    local.stop(state)
