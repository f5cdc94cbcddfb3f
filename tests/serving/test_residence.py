"""Models that leave memory, idle or for others, and are loaded when somebody asks."""

from __future__ import annotations

import asyncio
import gc
import shutil
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import OrchestratorError
from orchestrator.serving import backends, declarations, fleet, local, residence
from orchestrator.serving.codec import RequestError
from orchestrator.serving.residence import Resident, Room

Declare = Callable[..., declarations.Declaration]
residents = st.lists(
    st.builds(Resident, st.uuids().map(str), st.integers(0, 100), st.floats(0, 1000)),
    max_size=8,
    unique_by=lambda each: each.used,
)


@given(residents, st.integers(0, 100), st.integers(100, 300), st.integers(1, 5))
def test_those_stay_that_were_asked_last_and_no_more_leave_than_must(
    found: list[Resident], size: int, memory: int, count: int
) -> None:
    leaving = residence.leaving(found, size, Room(memory, count))
    stays = [each for each in found if each.name not in leaving]
    assert sum(each.size for each in stays) + size <= memory
    assert len(stays) + 1 <= count
    gone = [each for each in found if each.name in leaving]
    assert all(one.used <= other.used for one in gone for other in stays)
    if gone:
        last = max(gone, key=lambda each: each.used)
        assert sum(each.size for each in stays) + last.size + size > memory or len(stays) + 2 > count


def test_without_bounds_everybody_stays() -> None:
    assert residence.leaving([Resident("a", 10**12, 0)], 10**12, Room()) == []
    with pytest.raises(OrchestratorError, match="its models take 2 GiB, and the server may use 1 MiB"):
        residence.leaving([], 2**31, Room(memory=2**20))


def states(core: Any) -> dict[str, str]:
    return {name: status.state for name, status in core.host.endpoints.items()}


def test_the_least_recently_used_makes_room_and_comes_back_on_call(
    core: Any, penguins: Any, mass: Any, measured: Any, declaration: Declare
) -> None:
    models = {"penguins": penguins, "mass": mass, "measured": measured}
    inside = core(room=Room(endpoints=2))
    inside.declare(*(declaration(name, model) for name, model in models.items()))
    assert sorted(states(inside).values()) == ["asleep", "loaded", "loaded"]
    assert fleet.readiness(inside.host, ()) == (True, []), "whatever is asked is answered"

    async def ask() -> None:
        for name in ("penguins", "mass", "penguins", "measured", "mass", "penguins"):
            exchange = await inside.ask(name, models[name].examples)
            assert exchange.outputs is not None
            assert next(iter(exchange.outputs.values())).tolist() == models[name].predictions

    asyncio.run(ask())
    assert states(inside) == {"penguins": "loaded", "mass": "loaded", "measured": "asleep"}
    sizes = {name: inside.count("model_loaded_bytes", model_name=name) for name in models}
    assert [size > 0 for size in sizes.values()] == [True, True, False]
    # What an endpoint takes is known while it is asleep.
    asleep = inside.host.endpoints["measured"].hosted.main
    assert [column.name for column in asleep.model.signature.inputs] == list(measured.examples[0])
    assert asleep.outputs is not None


def test_what_does_not_fit_is_refused_and_takes_nothing_down(
    core: Any, penguins: Any, mass: Any, declaration: Declare
) -> None:
    small, large = declaration("mass", mass), declaration("penguins", penguins)
    inside = core(room=Room(memory=residence.size(large) - 1))
    inside.declare(small)
    inside.declare(large)
    assert states(inside) == {"mass": "loaded", "penguins": "missing"}
    assert inside.host.endpoints["penguins"].reason.startswith("its models take ")


def serverless(told: Declare, declared: declarations.Declaration, idle: str = "1ms") -> declarations.Declaration:
    return told(declared, mode="serverless", scaling={"idle": idle})


def test_a_wish_that_is_gone_when_it_is_looked_at_keeps_nobody(core: Any, mass: Any, declaration: Declare) -> None:
    inside = core()
    (inside.state / "residence").mkdir(parents=True)
    (inside.state / "residence" / "mass.json").symlink_to("nowhere")
    inside.declare(declaration("mass", mass))
    assert states(inside) == {"mass": "loaded"}
    assert inside.host.is_complete


def test_an_idle_model_is_unloaded_and_loaded_once_for_a_crowd(
    core: Any, penguins: Any, mass: Any, declaration: Declare, told: Declare
) -> None:
    inside = core()
    inside.declare(serverless(told, declaration("penguins", penguins)), declaration("mass", mass))
    time.sleep(0.01)
    inside.host.refresh()
    assert states(inside) == {"penguins": "asleep", "mass": "loaded"}

    async def crowd() -> list[Any]:
        return await asyncio.gather(*(inside.ask("penguins", penguins.examples) for _ in range(30)))

    answers = asyncio.run(crowd())
    assert {each.variant for each in answers} == {"v1"}
    assert inside.count("model_loads_total", model_name="penguins", outcome="woken") == 1
    assert states(inside)["penguins"] == "loaded"
    # It waits on: a long time has not passed since.
    inside.declare(serverless(told, declaration("penguins", penguins), "1h"))
    time.sleep(0.01)
    inside.host.refresh()
    assert states(inside)["penguins"] == "loaded"


def test_a_model_that_cannot_be_loaded_again_says_so_until_it_can(
    core: Any, penguins: Any, tmp_path: Path, declaration: Declare, told: Declare
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(penguins.path, copy)
    inside = core()
    inside.declare(serverless(told, declaration("penguins", replace(penguins, path=copy))))
    time.sleep(0.01)
    inside.host.refresh()
    text = (copy / "transform.json").read_text()
    (copy / "transform.json").write_text("{")

    def refused() -> None:
        with pytest.raises(RequestError, match="could not be loaded: penguins version 1: the model ") as caught:
            asyncio.run(inside.ask("penguins", penguins.examples))
        assert caught.value.status == 503

    refused()
    (copy / "transform.json").write_text(text)
    refused()  # A crowd does not try it again and again.
    inside.host.endpoints["penguins"].stuck_until = 0.0
    assert asyncio.run(inside.ask("penguins", penguins.examples)).status == 200


def test_who_cannot_wait_is_told_and_the_others_are_answered(
    core: Any, penguins: Any, declaration: Declare, told: Declare
) -> None:
    inside = core()
    inside.declare(serverless(told, declaration("penguins", penguins)))
    time.sleep(0.01)
    inside.host.refresh()
    status = inside.host.endpoints["penguins"]

    async def both() -> None:
        # Somebody else is changing it: loading has to wait.
        status.changing.acquire()
        body = b'{"instances": []}'
        with pytest.raises(RequestError, match=r"the model was not loaded within 0\.05 s") as caught:
            await inside.answering.answer("penguins", "v1", body, timeout=0.05)
        assert caught.value.status == 503
        patient = asyncio.create_task(inside.ask("penguins", penguins.examples))
        await asyncio.sleep(0.05)
        status.changing.release()
        assert (await patient).status == 200

    asyncio.run(both())
    assert status.in_flight == 0


def test_a_server_bounded_by_its_options_answers_for_all(
    state: Path, penguins: Any, mass: Any, declaration: Declare, ask: Callable[..., Any]
) -> None:
    models = {"penguins": penguins, "mass": mass}
    for name, model in models.items():
        local.declare(state, declaration(name, model))
    command = [sys.executable, "-m", "orchestrator.serving", "--state", str(state), "--models", "1", "--memory", "1Gi"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr
            seen = ""
            while "unloaded, others need its memory" not in seen:
                line = server.stderr.readline()
                assert line, seen
                seen += line
            found = place(state)
            for name in ("penguins", "mass", "penguins"):
                reply = ask(found, f"/v1/models/{name}:predict", {"instances": models[name].examples})
                assert reply.json == {"predictions": models[name].predictions}
            notes = sorted(each.reason for each in local.endpoints(state))
            assert notes == ["", "asleep: the next request loads it"]
        finally:
            server.kill()


def place(state: Path) -> str:
    server = local.find(state)
    assert server is not None
    return server.url


class Light:
    """A model that can be asked whether anybody still has it."""

    def __init__(self, model: Any) -> None:
        self.signature, self.platform, self.example = model.signature, model.platform, model.example
        self._model = model

    def outputs(self, columns: Any) -> Any:
        return self._model.outputs(columns)


@pytest.mark.parametrize("batching", [None, {"rows": 8, "delay": "1ms"}])
def test_nothing_keeps_a_model_that_was_unloaded(
    core: Any, penguins: Any, declaration: Declare, told: Declare, batching: Any
) -> None:
    seen: list[weakref.ref[Light]] = []

    def load(path: Path, digest: str) -> Light:
        model = Light(backends.load(path, digest))
        seen.append(weakref.ref(model))
        return model

    inside = core(load=load)
    declared = told(declaration("penguins", penguins, penguins), batching=batching, shadows={"v2": 100})
    inside.declare(serverless(told, declared, "1h"))

    async def crowd() -> None:
        await asyncio.gather(*(inside.ask("penguins", penguins.examples) for _ in range(20)))

    for turn in range(1, 3):
        asyncio.run(crowd())
        assert sum(each() is not None for each in seen) == 1, "of all that were ever loaded"
        inside.host.endpoints["penguins"].used -= 3600
        deadline = time.monotonic() + 30
        while any(each() is not None for each in seen):
            assert time.monotonic() < deadline, "somebody has it still"
            inside.host.refresh()
            gc.collect()
            time.sleep(0.01)
        assert len(seen) == turn
