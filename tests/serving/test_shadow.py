"""A shadow variant is asked what others answered, and changes nothing for anybody."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from orchestrator.serving import backends, declarations, shadow
from orchestrator.serving.codec import Content
from orchestrator.serving.reply import Answered

Declare = Callable[..., declarations.Declaration]
OUTCOMES = ("equal", "different", "failed", "dropped")


def outcomes(core: Any, name: str, variant: str = "v2") -> dict[str, float]:
    labels = {"model_name": name, "variant": variant}
    found = {each: core.count("shadow_requests_total", outcome=each, **labels) for each in OUTCOMES}
    return {each: count for each, count in found.items() if count}


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.01)


def shadowed(core: Any, told: Declare, declared: declarations.Declaration, percent: float = 100) -> Any:
    inside = core()
    inside.declare(told(declared, shadows={"v2": percent}))
    return inside


async def crowd(inside: Any, name: str, records: Any, count: int, **headers: str) -> list[Any]:
    return await asyncio.gather(*(inside.ask(name, records, **headers) for _ in range(count)))


def test_answers_are_compared_and_the_shadow_answers_nobody(
    core: Any, penguins: Any, measured: Any, declaration: Declare, told: Declare
) -> None:
    inside = shadowed(core, told, declaration("penguins", penguins, penguins))
    answers = asyncio.run(crowd(inside, "penguins", penguins.examples, 60))
    assert {each.variant for each in answers} == {"v1"}
    eventually(lambda: outcomes(inside, "penguins") == {"equal": 60})
    # Who asks for the shadow by name gets it; it is not compared with itself.
    asked = asyncio.run(crowd(inside, "penguins", penguins.examples, 3, x_variant="v2"))
    assert {each.variant for each in asked} == {"v2"}
    asyncio.run(crowd(inside, "penguins", penguins.examples, 1))
    eventually(lambda: outcomes(inside, "penguins") == {"equal": 61})
    # Only clients count as requests.
    assert inside.count("request_seconds_count", model_name="penguins", variant="v2") == 3
    assert inside.count("request_seconds_count", model_name="penguins", variant="v1") == 61


class Other:
    """A model that stands beside a real one: it answers when it may, and something else."""

    def __init__(self, model: Any, more: float = 0.0, error: str = "") -> None:
        self.signature, self.platform, self.example = model.signature, model.platform, model.example
        self.may = threading.Event()
        self.may.set()
        self._model, self._more, self._error = model, more, error

    def outputs(self, columns: Any) -> Any:
        self.may.wait(60)
        if self._error:
            raise RuntimeError(self._error)
        return {name: values + self._more for name, values in self._model.outputs(columns).items()}


def beside(core: Any, told: Declare, declared: declarations.Declaration, **about: Any) -> tuple[Any, Other]:
    """A core whose shadow is such a model."""
    others: list[Other] = []

    def load(path: Any, digest: str) -> Any:
        model = backends.load(path, digest)
        if "shadow" not in str(path):
            return model
        others.append(Other(model, **about))
        return others[-1]

    inside = core(load=load)
    inside.declare(told(declared, shadows={"v2": 100}))
    return inside, others[0]


@pytest.fixture
def twin(mass: Any, tmp_path: Any) -> Any:
    """The same model in another folder."""
    path = tmp_path / "shadow"
    shutil.copytree(mass.path, path)
    return replace(mass, path=path)


def test_other_predictions_show(core: Any, mass: Any, twin: Any, declaration: Declare, told: Declare) -> None:
    inside, _ = beside(core, told, declaration("mass", mass, twin), more=1.0)
    asyncio.run(crowd(inside, "mass", mass.examples, 5))
    eventually(lambda: outcomes(inside, "mass") == {"different": 5})


def test_a_shadow_that_fails_says_so_once(
    core: Any, penguins: Any, mass: Any, declaration: Declare, told: Declare, caplog: pytest.LogCaptureFixture
) -> None:
    # It does not know all columns of the requests.
    inside = shadowed(core, told, declaration("penguins", penguins, mass))
    with caplog.at_level(logging.WARNING):
        asyncio.run(crowd(inside, "penguins", penguins.examples, 5))
        eventually(lambda: outcomes(inside, "penguins") == {"failed": 5})
    said = [record.message for record in caplog.records if "shadow" in record.message]
    assert len(said) == 1
    assert said[0].startswith("penguins: the shadow v2 did not answer: record 0 has a column ")


def test_a_share_of_the_requests_is_copied(core: Any, mass: Any, declaration: Declare, told: Declare) -> None:
    inside = shadowed(core, told, declaration("mass", mass, mass), 20)
    for _ in range(10):
        asyncio.run(crowd(inside, "mass", mass.examples, 60))
        eventually(lambda: not inside.answering.shadows.waiting)
    # 600 requests; six standard deviations of the binomial distribution around 120, and one may be under way.
    assert 60 < sum(outcomes(inside, "mass").values()) < 180


def test_a_shadow_holds_nobody_up_and_what_it_cannot_take_is_dropped(
    core: Any, mass: Any, twin: Any, declaration: Declare, told: Declare
) -> None:
    inside, other = beside(core, told, declaration("mass", mass, twin))
    other.may.clear()
    answers = asyncio.run(crowd(inside, "mass", mass.examples, 40))
    for _ in range(7):
        answers += asyncio.run(crowd(inside, "mass", mass.examples, 40))
    assert {each.variant for each in answers} == {"v1"}
    # One is with the shadow, so many wait, and for the rest there was no room.
    eventually(lambda: outcomes(inside, "mass") == {"dropped": 320 - 1 - shadow.MOST_WAITING})
    other.may.set()
    eventually(lambda: outcomes(inside, "mass").get("equal") == shadow.MOST_WAITING + 1)


def test_what_waits_is_bounded_in_memory_with_its_answers(
    core: Any, mass: Any, twin: Any, declaration: Declare, told: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, other = beside(core, told, declaration("mass", mass, twin))
    other.may.clear()
    (answer,) = asyncio.run(crowd(inside, "mass", mass.examples, 1))
    eventually(lambda: inside.answering.shadows.waiting == 0)
    outputs = sum(values.nbytes for values in answer.outputs.values())
    # Room for three of them, and not for their requests alone by far.
    monkeypatch.setattr(shadow, "MOST_BYTES", 3 * (len(answer.request) + len(answer.response) + outputs))
    asyncio.run(crowd(inside, "mass", mass.examples, 10))
    assert inside.answering.shadows.waiting == 3
    assert outcomes(inside, "mass") == {"dropped": 7}
    other.may.set()
    eventually(lambda: outcomes(inside, "mass") == {"dropped": 7, "equal": 4})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([1.0, np.nan], [1.0 + 1e-9, np.nan], True),
        ([1.0], [1.001], False),
        ([1, 2], [1.0, 2.0], True),
        ([1.0], [1.0, 2.0], False),
        (["a", "b"], ["a", "b"], True),
        (["a"], ["b"], False),
        (["1"], [1], False),
    ],
)
def test_predictions_are_equal_up_to_rounding(
    core: Any, mass: Any, declaration: Declare, one: Any, other: Any, same: bool
) -> None:
    inside = core()
    inside.declare(declaration("mass", mass))
    exchange = asyncio.run(inside.ask("mass", mass.examples))
    left = replace(exchange, outputs={"y": np.array(one), "p": np.array([0])})
    right = Answered(Content(b"{}"), "application/json", {"z": np.array(other)})
    assert shadow.equal(left, right) is same


def test_bodies_are_compared_where_a_model_writes_them_itself(core: Any, mass: Any, declaration: Declare) -> None:
    inside = core()
    inside.declare(declaration("mass", mass))
    exchange = asyncio.run(inside.ask("mass", mass.examples))
    plain = json.loads(exchange.response)
    pretty = json.dumps(plain, indent=4).encode()
    assert shadow.equal(exchange, Answered(Content(exchange.response), "application/json", None))
    assert shadow.equal(exchange, Answered(Content(pretty), "application/json", None))
    assert not shadow.equal(exchange, Answered(Content(b'{"predictions": []}'), "application/json", None))
    assert not shadow.equal(exchange, Answered(Content(b"1,2"), "text/csv", None))
