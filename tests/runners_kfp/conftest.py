"""A server of the test's own, in both generations, and pipelines that take no time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.runners import kfp
from orchestrator.runners.kfp import Connection
from tests.runners_kfp.server import Server


@pytest.fixture(params=["native", "classic"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server without ML Metadata, and one with it."""
    with Server(tmp_path / "kfp", native=request.param == "native") as made:
        yield made


@pytest.fixture
def native(tmp_path: Path) -> Iterator[Server]:
    """A server without ML Metadata."""
    with Server(tmp_path / "kfp") as made:
        yield made


@pytest.fixture
def soon() -> Callable[[float], None]:
    """Waiting, but not for long."""
    return lambda seconds: time.sleep(min(seconds, 0.1))


def connected(server: Server, **how: object) -> Connection:
    """A connection to a server."""
    return kfp.Connection(server.url, **how)  # type: ignore[arg-type]
