"""Requests that come close together are one call of the model, and each gets its own."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model import folder, transform
from orchestrator.model.manifest import Manifest
from orchestrator.model.signature import Column, Signature
from orchestrator.serving import batches, declarations
from orchestrator.serving.batches import Waiting
from orchestrator.serving.codec import RequestError

Declare = Callable[..., declarations.Declaration]
COUNTING = """
import time


class Counting:
    def predict(self, rows):
        values = rows[:, 0]
        if (values < 0).any():
            raise ValueError("a negative number")
        if (values > 1000).any():
            raise RuntimeError("a bug")
        time.sleep(0.02)
        return values * 2
"""


@pytest.fixture
def counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mass: Any) -> Any:
    """A model that takes the same time for any number of rows, as a forest does."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "counting_model.py").write_text(COUNTING)
    monkeypatch.syspath_prepend(code)
    sys.modules.pop("counting_model", None)
    estimator = importlib.import_module("counting_model").Counting()
    inputs = (Column("value", "number"),)
    signature = Signature(inputs, (Column("twice", "number"),))
    manifest = Manifest("sklearn", "counting", "regression", signature, example=({"value": 1.0},))
    path = tmp_path / "counting"
    folder.save(path, manifest, transform.Transform(inputs, (), ("value",)), estimator)
    return type(mass)(path, folder.digest(path), [{"value": 1.0}], [2.0])


def batched(core: Any, told: Declare, declared: declarations.Declaration, **bounds: Any) -> Any:
    inside = core()
    inside.declare(told(declared, batching=bounds))
    return inside


def predictions(exchange: Any) -> list[float]:
    found: list[float] = next(iter(exchange.outputs.values())).tolist()
    return found


def test_a_crowd_is_answered_by_few_calls(core: Any, counting: Any, declaration: Declare, told: Declare) -> None:
    inside = batched(core, told, declaration("twice", counting), rows=16, delay="50ms")

    async def crowd() -> list[Any]:
        sizes = [1 + number % 3 for number in range(40)]
        asked = [[{"value": number + part / 10} for part in range(size)] for number, size in enumerate(sizes)]
        answers = await asyncio.gather(*(inside.ask("twice", rows) for rows in asked))
        assert [predictions(each) for each in answers] == [[row["value"] * 2 for row in rows] for rows in asked]
        return [row for rows in asked for row in rows]

    rows = asyncio.run(crowd())
    calls = inside.count("batch_rows_count", model_name="twice")
    assert inside.count("batch_rows_sum", model_name="twice") == len(rows)
    assert len(rows) / 16 <= calls <= len(rows) / 4
    assert inside.count("request_rows_count", model_name="twice") == 40
    assert inside.host.endpoints["twice"].in_flight == 0


def test_one_request_spoils_no_other(core: Any, counting: Any, declaration: Declare, told: Declare) -> None:
    inside = batched(core, told, declaration("twice", counting), rows=64, delay="20ms")

    async def crowd() -> list[Any]:
        values = [1.0, 2.0, -1.0, 3.0, 5000.0, 4.0, "x"]
        asked = (inside.ask("twice", [{"value": value}]) for value in values)
        return await asyncio.gather(*asked, return_exceptions=True)

    one, two, negative, three, bug, four, text = asyncio.run(crowd())
    assert [predictions(each) for each in (one, two, three, four)] == [[2.0], [4.0], [6.0], [8.0]]
    told_of = [(each.status, each.message) for each in (negative, bug, text)]
    assert told_of[0] == (400, "the model cannot take this data: a negative number")
    assert told_of[1][0] == 500
    assert told_of[1][1].startswith("the model failed: RuntimeError (reference ")
    assert told_of[2][0] == 400


def test_who_goes_away_is_not_waited_for(core: Any, counting: Any, declaration: Declare, told: Declare) -> None:
    inside = batched(core, told, declaration("twice", counting), rows=4, delay="1ms")

    async def crowd() -> None:
        body = b'{"instances": [{"value": 1}]}'
        hasty = [inside.answering.answer("twice", "v1", body, timeout=0.001) for _ in range(20)]
        late = await asyncio.gather(*hasty, return_exceptions=True)
        assert {each.status for each in late if isinstance(each, RequestError)} == {504}
        assert predictions(await inside.ask("twice", [{"value": 7.0}])) == [14.0]

    asyncio.run(crowd())
    assert inside.host.endpoints["twice"].in_flight == 0
    # Most of those that nobody waited for any more were never predicted.
    assert inside.count("batch_rows_sum", model_name="twice") < 20


def test_batches_work_for_text_and_for_v2(core: Any, penguins: Any, declaration: Declare, told: Declare) -> None:
    inside = batched(core, told, declaration("penguins", penguins), rows=100, delay="20ms")
    inputs = [
        {"name": name, "shape": [1], "datatype": "BYTES" if isinstance(value, str) else "FP64", "data": [value]}
        for name, value in penguins.examples[0].items()
    ]
    body = json.dumps({"inputs": inputs, "id": "seven"}).encode()

    async def crowd() -> list[Any]:
        v1 = [inside.ask("penguins", penguins.examples) for _ in range(6)]
        v2 = [inside.answering.answer("penguins", "v2", body) for _ in range(6)]
        return await asyncio.gather(*v1, *v2)

    answers = asyncio.run(crowd())
    assert [predictions(each) for each in answers[:6]] == [penguins.predictions] * 6
    for each in answers[6:]:
        said = json.loads(each.response)
        assert (said["id"], said["outputs"][0]["data"]) == ("seven", penguins.predictions[:1])
    assert inside.count("batch_rows_count", model_name="penguins") < 12


waiting = st.lists(st.integers(1, 40), min_size=1, max_size=20)


@given(waiting, st.integers(1, 64))
def test_a_batch_is_the_first_to_come_and_never_too_large(sizes: list[int], rows: int) -> None:
    asked = [Waiting({}, size, asyncio.Future(loop=_LOOP)) for size in sizes]
    now, later = batches.taken(asked, rows)
    assert now + later == asked
    assert now
    assert sum(each.rows for each in now) <= rows or len(now) == 1
    assert not later or sum(each.rows for each in now) + later[0].rows > rows


@given(st.lists(st.lists(st.floats(-10, 10), min_size=1, max_size=5), min_size=1, max_size=6), st.booleans())
def test_together_is_as_one_by_one(asked: list[list[float]], row_by_row: bool) -> None:
    def model(columns: Any) -> dict[str, Any]:
        values = columns["x"]
        if (values > 9).any():
            raise ValueError("too much")
        # A model that does not answer row by row cannot be asked for several requests at once.
        return {"y": values * 3, "z": np.stack([values, values], axis=1) if row_by_row else np.array([values.sum()])}

    def plain(found: Any) -> Any:
        return str(found) if isinstance(found, Exception) else {name: found[name].tolist() for name in found}

    requests = [{"x": np.array(values)} for values in asked]
    together = [plain(each) for each in batches.predicted(requests, model)]
    assert together == [plain(batches.predicted([each], model)[0]) for each in requests]


def test_columns_that_do_not_fit_together_are_asked_apart() -> None:
    requests = [{"x": np.array([1.0])}, {"x": np.array(["a"], dtype=object)}, {"y": np.array([2.0])}]
    found = batches.predicted(requests, dict)
    assert [list(each) for each in found if isinstance(each, dict)] == [["x"], ["x"], ["y"]]


_LOOP = asyncio.new_event_loop()
_LOOP.close()
