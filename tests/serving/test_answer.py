"""From a body to an answer, in this process: what models do wrong, who waits for whom, who is counted as what."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.serving import backends, declarations
from orchestrator.serving.codec import RequestError

Declare = Callable[..., declarations.Declaration]


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.01)


class Odd:
    """A model whose outputs no protocol can say."""

    def __init__(self, model: Any) -> None:
        self.signature, self.platform, self.example = model.signature, model.platform, model.example

    def outputs(self, columns: Any) -> Any:
        values = next(iter(columns.values()))
        found = np.empty(len(values), dtype=object)
        found[:] = [complex(value) for value in values]
        return {"y": found}


def test_outputs_that_cannot_be_told_are_counted(core: Any, mass: Any, declaration: Declare) -> None:
    inside = core(load=lambda path, digest: Odd(backends.load(path, digest)))
    inside.declare(declaration("mass", mass))
    with pytest.raises(RequestError, match=r"the model failed: \w+Error \(reference") as caught:
        asyncio.run(inside.ask("mass", mass.examples))
    assert (caught.value.status, caught.value.variant) == (500, "v1")
    assert inside.count("request_errors_total", model_name="mass", variant="v1", kind="model") == 1


def test_a_slow_endpoint_keeps_no_other_waiting(core: Any, mass: Any, slow: Any, declaration: Declare) -> None:
    may = threading.Event()

    class Waiting(Odd):
        def outputs(self, columns: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                may.wait(60)
            return {"y": next(iter(columns.values()))}

    def load(path: Path, digest: str) -> Any:
        model = backends.load(path, digest)
        return model if path == mass.path else Waiting(model)

    inside = core(load=load)
    inside.host.watchers = [inside.answering.work]
    inside.declare(declaration("mass", mass), declaration("slow", slow))
    # Both take their time, as far as is known.
    for name in ("mass", "slow"):
        inside.host.endpoints[name].hosted.main.cost.seconds = 1.0

    async def crowd() -> None:
        crowded = [asyncio.create_task(inside.ask("slow", slow.examples)) for _ in range(30)]
        while inside.host.endpoints["slow"].in_flight < 30:
            await asyncio.sleep(0)
        try:
            for _ in range(5):
                assert (await inside.ask("mass", mass.examples)).status == 200
                inside.host.endpoints["mass"].hosted.main.cost.seconds = 1.0
            assert not any(each.done() for each in crowded)
        finally:
            may.set()
            await asyncio.gather(*crowded)

    asyncio.run(crowd())
    assert {each.name.split("_")[0] for each in threads()} >= {"model mass", "model slow"}
    # The threads of an endpoint that is removed end, and come again with it.
    declarations.remove(inside.state, "slow")
    inside.host.refresh()
    eventually(lambda: not any(each.name.startswith("model slow_") for each in threads()))
    inside.declare(declaration("slow", slow))
    inside.host.endpoints["slow"].hosted.main.cost.seconds = 1.0
    assert asyncio.run(inside.ask("slow", slow.examples)).status == 200


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("model ")]


def test_the_request_that_wakes_a_model_is_counted_for_who_answers_it_and_copied_to_the_shadow(
    core: Any, mass: Any, declaration: Declare, told: Declare
) -> None:
    inside = core()
    declared = told(declaration("mass", mass, mass, mass), shadows={"v3": 100})
    inside.declare(told(declared, mode="serverless", scaling={"idle": "30m"}))
    answered: Counter[str] = Counter()
    for turn in range(1, 9):
        inside.host.endpoints["mass"].used -= 3600
        inside.host.refresh()
        assert inside.host.endpoints["mass"].state == "asleep"
        answered[asyncio.run(inside.ask("mass", mass.examples)).variant] += 1
        eventually(lambda: compared(inside) == turn)  # noqa: B023  It is over before the next turn.
    counted = {
        name: inside.count(
            "requests_total", model_name="mass", variant=name, version=name[1:], protocol="v1", code="200"
        )
        for name in ("v1", "v2", "v3")
    }
    assert counted == {"v1": answered["v1"], "v2": answered["v2"], "v3": 0}


def compared(inside: Any) -> float:
    return float(inside.count("shadow_requests_total", model_name="mass", variant="v3", outcome="equal"))


def test_a_version_is_answered_by_who_is_no_shadow(core: Any, mass: Any, declaration: Declare, told: Declare) -> None:
    plain = json.loads(declarations.dump(told(declaration("mass", mass, mass), shadows={"v1": 100})))
    for each in plain["variants"]:
        each["version"] = "7"
    inside = core()
    inside.declare(declarations.load(json.dumps(plain)))
    body = json.dumps({"instances": mass.examples}).encode()
    assert asyncio.run(inside.answering.answer("mass", "v1", body, version="7")).variant == "v2"


def test_who_is_answered_after_the_endpoint_is_gone_counts_nothing_again(
    core: Any, slow: Any, declaration: Declare
) -> None:
    inside = core()
    inside.declare(declaration("slow", slow))
    status = inside.host.endpoints["slow"]

    async def ask() -> None:
        asked = asyncio.create_task(inside.ask("slow", [{"seconds": 0.3}]))
        while not status.in_flight:
            await asyncio.sleep(0)
        assert inside.count("requests_in_flight", model_name="slow") == 1
        declarations.remove(inside.state, "slow")
        inside.host.refresh()
        assert (await asked).status == 200

    asyncio.run(ask())
    assert status.in_flight == 0
    assert inside.host.metrics.registry().get_sample_value("requests_in_flight", {"model_name": "slow"}) is None
