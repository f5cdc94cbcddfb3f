from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.model.signature import Column, InputError, Signature
from orchestrator.serving import v1, v2
from orchestrator.serving.codec import RequestError

MIXED = Signature(
    (
        Column("length", "number"),
        Column("count", "integer", nullable=True),
        Column("island", "string", categories=("a", "b")),
        Column("old", "boolean", nullable=True),
        Column("seen", "timestamp", nullable=True),
    )
)
NUMBERS = Signature((Column("a", "number"), Column("b", "number", nullable=True)))
ONE = Signature((Column("a", "number"),))
RECORD = {"length": 1.5, "count": 2, "island": "a", "old": True, "seen": "2020-01-02T03:04:05Z"}


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def tensor(name: str, datatype: str, data: Any, shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


def columns(**arrays: Any) -> list[dict[str, Any]]:
    sent = {
        "length": ("FP64", [1.5, 2.5]),
        "count": ("INT64", [2, 3]),
        "island": ("BYTES", ["a", "b"]),
        "old": ("BOOL", [True, False]),
        "seen": ("BYTES", ["2020-01-02", "2021-01-02"]),
    }
    return [tensor(name, *value) for name, value in (sent | arrays).items()]


def test_v1_takes_records_and_lists_alike() -> None:
    from_record, rows = v1.decode(body({"instances": [RECORD]}), MIXED)
    from_list, _ = v1.decode(body({"instances": [list(RECORD.values())]}), MIXED)
    assert rows == 1
    assert {name: array.tolist() for name, array in from_record.items()} == {
        name: array.tolist() for name, array in from_list.items()
    }


def test_v1_takes_bare_values_for_a_model_of_one_column() -> None:
    found, rows = v1.decode(b'{"instances": [1, 2.5]}', ONE)
    assert (found["a"].tolist(), rows) == ([1.0, 2.5], 2)


def test_v2_takes_a_tensor_per_column() -> None:
    request = v2.decode(body({"inputs": columns()}), MIXED)
    assert request.rows == 2
    assert request.columns["island"].tolist() == ["a", "b"]
    assert request.columns["count"].tolist() == [2, 3]


def test_v2_takes_null_for_a_missing_value() -> None:
    request = v2.decode(body({"inputs": columns(count=("INT64", [None, 3]), old=("BOOL", [None, True]))}), MIXED)
    assert np.isnan(request.columns["count"][0])
    assert np.isnan(request.columns["old"][0])


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]]])
def test_v2_takes_one_tensor_in_the_signatures_order_flat_or_nested(data: Any) -> None:
    request = v2.decode(body({"inputs": [tensor("x", "FP32", data, [2, 2])]}), NUMBERS)
    assert (request.columns["a"].tolist(), request.columns["b"].tolist()) == ([1, 3], [2, 4])


def test_fp32_is_read_as_it_was_written() -> None:
    request = v2.decode(body({"inputs": [tensor("a", "FP32", [39.1])]}), ONE)
    assert request.columns["a"].tolist() == [39.1]


BAD_V1 = [
    (b"", "not valid JSON"),
    (b"\xff\xfe", "not valid JSON"),
    (b'{"instances": [', "not valid JSON"),
    (b'{"instances": ["\xff"]}', "not UTF-8"),
    (b'{"instances": [NaN]}', "not valid JSON"),
    (b"[]", "expected `object`"),
    (b"{}", "missing required field `instances`"),
    (b'{"instances": 3}', "instances: expected `array`"),
    (b'{"instances": []}', "instances is empty"),
    (b'{"instances": [[1, 2], {"a": 1}]}', "mixes lists and records"),
    (b'{"instances": [1, 2]}', "not rows"),
    (b'{"instances": [[1, 2], [1]]}', "row 1 has 1 values"),
    (b'{"instances": [[1, 2, 3]]}', "row 0 has 3 values"),
    (b'{"instances": [[null, 2]]}', "'a'"),
    (b'{"instances": [["x", 2]]}', "'a'"),
    (b'{"instances": [[true, 2]]}', "'a'"),
    (b'{"instances": [[[1], 2]]}', "'a'"),
    (b'{"instances": [{"a": 1, "c": 2}]}', "'c'"),
    (b'{"instances": [{"b": 1}]}', "'a'"),
    (b'{"instances": [[1e999, 2]]}', "out of range"),
    (b'{"instances": [[1' + b"0" * 400 + b", 2]]}", "'a'"),
    (b'{"instances": ' + b"[" * 100_000, "nested too deeply"),
]


@pytest.mark.parametrize(("sent", "told"), BAD_V1, ids=range(len(BAD_V1)))
def test_v1_says_what_is_wrong(sent: bytes, told: str) -> None:
    with pytest.raises((RequestError, InputError)) as caught:
        v1.decode(sent, NUMBERS)
    assert told in caught.value.message


def two(datatype: str = "FP64", data: Any = (1, 2), shape: Any = (1, 2), name: str = "x") -> bytes:
    return body({"inputs": [{"name": name, "datatype": datatype, "shape": shape, "data": data}]})


BAD_V2 = [
    (b"{", "not valid JSON"),
    (b"{}", "missing required field `inputs`"),
    (b'{"inputs": []}', "inputs is empty"),
    (b'{"inputs": [{"name": "x"}]}', "inputs[0]"),
    (two("FP99"), "unknown datatype 'FP99'"),
    (two("fp64"), "unknown datatype 'fp64'"),
    (two(data=[1, 2, 3]), "has 3 values, its shape [1, 2] takes 2"),
    (two(shape=[-1, 2]), "negative dimension"),
    (two(shape=[-1, -2]), "negative dimension"),
    (two(shape=[1] * 9), "9 dimensions"),
    (two(shape=[1, 10**30]), "dimension of more than"),
    (two(shape=[1.5, 2]), "shape[0]"),
    (two(shape="12"), "shape"),
    (two(data=[[1, 2], [3]], shape=[2, 2]), "neither flat nor nested"),
    (two(data=[[1, "x"]]), "expected `float"),
    (two(data=["x", 2]), "tensor 'x' of datatype FP64"),
    (two("INT64", [1.5, 2]), "tensor 'x' of datatype INT64"),
    (two("INT8", [300, 2]), "does not fit INT8"),
    (two("UINT8", [-1, 2]), "does not fit UINT8"),
    (two("FP16", [1e6, 2]), "does not fit FP16"),
    (two("FP32", [1e300, 2]), "does not fit FP32"),
    (two("BYTES", ["x", "y"]), "'a'"),
    (two("BOOL", [True, True]), "'a'"),
    (two(data=[None, 2]), "'a'"),
    (two(data=[], shape=[0, 2]), "no rows"),
    (two(data=[1, 2], shape=[2]), "send one tensor per column (a, b), or one [rows, 2] tensor"),
    (two(shape=[1, 1, 2]), "its shape [1, 1, 2] is not [rows, 2]"),
    (two(shape=[1, 2], name="a"), "'a' has shape [1, 2]"),
    (two(data=[1], shape=[], name="a"), "'a' has shape []"),
    (body({"inputs": [tensor("a", "FP64", [1]), tensor("a", "FP64", [1])]}), "given twice"),
    (body({"inputs": [tensor("a", "FP64", [1]), tensor("b", "FP64", [1, 2])]}), "differ in length"),
    (body({"inputs": [tensor("a", "FP64", [1]), tensor("c", "FP64", [1])]}), "'c'"),
    (body({"inputs": [{"name": "a", "datatype": "FP64", "shape": [1]}]}), "has no data"),
    (body({"inputs": [tensor("a", "FP64", [1])], "id": 3}), "id: expected"),
]


@pytest.mark.parametrize(("sent", "told"), BAD_V2, ids=range(len(BAD_V2)))
def test_v2_says_what_is_wrong(sent: bytes, told: str) -> None:
    with pytest.raises((RequestError, InputError)) as caught:
        v2.decode(sent, NUMBERS)
    assert told in caught.value.message


def test_an_output_that_is_not_there_is_refused_and_one_that_is_comes_alone() -> None:
    outputs = {"species": np.array(["x"], dtype=object), "probabilities": np.array([[0.25, 0.75]])}
    request = v2.Request({}, 1, "id-1", ("probabilities",))
    answer = msgspec.json.decode(v2.encode("m", "3", request, outputs).body)
    assert answer == {
        "model_name": "m",
        "model_version": "3",
        "id": "id-1",
        "outputs": [{"name": "probabilities", "shape": [1, 2], "datatype": "FP64", "data": [0.25, 0.75]}],
    }
    with pytest.raises(RequestError, match="did you mean 'species'"):
        v2.encode("m", "3", v2.Request({}, 1, outputs=("specie",)), outputs)


CELLS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
CELLS |= st.sampled_from(["a", "b", "2020-01-02", "x", "1", [], {}, 10**400])
GOOD = {
    "length": st.integers(-5, 5) | st.floats(-5, 5),
    "count": st.none() | st.integers(-5, 5),
    "island": st.sampled_from("ab"),
    "old": st.none() | st.booleans(),
    "seen": st.none() | st.just("2020-01-02"),
}
ROWS = st.lists(st.fixed_dictionaries(GOOD), min_size=16, max_size=20)
SPOILT = st.tuples(st.integers(0, 15), st.sampled_from([*GOOD, "more"]), CELLS)


@settings(deadline=None)  # The machine may be busy with other things.
@given(ROWS, st.none() | SPOILT, st.booleans())
def test_many_rows_are_read_as_few_rows_are(rows: Any, spoilt: Any, lists: bool) -> None:
    if spoilt is not None:
        rows[spoilt[0]] = rows[spoilt[0]] | {spoilt[1]: spoilt[2]}
    instances = [list(row.values()) for row in rows] if lists else rows

    def told(sent: Any) -> Any:
        try:
            columns, count = v1.decode(body({"instances": sent}), MIXED)
        except (InputError, RequestError) as error:
            return error.message
        return count, {name: array.astype(str).tolist() for name, array in columns.items()}

    many = told(instances)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(v1, "_MANY", 10**9)
        assert told(instances) == many


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["a", "FP64", "1"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("ab") | st.text(max_size=3), inner),
    max_leaves=12,
)
LIKELY = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["length", "count", "island", "old", "seen", "x"]),
        "datatype": st.sampled_from(["FP32", "FP64", "INT8", "UINT64", "BOOL", "BYTES", "BF16"]),
        "shape": st.lists(st.integers(-1, 3) | st.integers(), max_size=3),
        "data": st.lists(JSON, max_size=4),
    }
)
SIGNATURES = st.sampled_from([MIXED, NUMBERS, ONE])


def _decodes_or_refuses(decode: Any, sent: bytes, signature: Signature) -> None:
    with contextlib.suppress(RequestError, InputError):
        decode(sent, signature)


@settings(deadline=None)  # The machine may be busy with other things.
@given(st.binary() | JSON.map(body), SIGNATURES)
def test_no_body_raises_anything_but_a_refusal(sent: bytes, signature: Signature) -> None:
    _decodes_or_refuses(v1.decode, sent, signature)
    _decodes_or_refuses(v2.decode, sent, signature)


@settings(deadline=None)  # The machine may be busy with other things.
@given(st.lists(JSON, max_size=4), SIGNATURES)
def test_no_instances_raise_anything_but_a_refusal(instances: Any, signature: Signature) -> None:
    _decodes_or_refuses(v1.decode, body({"instances": instances}), signature)


@settings(deadline=None)  # The machine may be busy with other things.
@given(st.lists(LIKELY, max_size=5), SIGNATURES)
def test_no_tensors_raise_anything_but_a_refusal(tensors: Any, signature: Signature) -> None:
    _decodes_or_refuses(v2.decode, body({"inputs": tensors}), signature)


@settings(deadline=None)  # The machine may be busy with other things.
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_arrive_as_they_were_sent(values: list[float]) -> None:
    assert v1.decode(body({"instances": values}), ONE)[0]["a"].tolist() == values
    assert v2.decode(body({"inputs": [tensor("a", "FP64", values)]}), ONE).columns["a"].tolist() == values
