"""Tensors whose content comes behind the JSON."""

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
from orchestrator.serving import v2
from orchestrator.serving.codec import RequestError

MIXED = Signature(
    (
        Column("length", "number"),
        Column("count", "integer"),
        Column("island", "string"),
        Column("old", "boolean"),
        Column("seen", "timestamp"),
    )
)
ONE = Signature((Column("a", "number"),))


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def tensor(name: str, datatype: str, data: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data}


def columns() -> list[dict[str, Any]]:
    return [
        tensor("length", "FP64", [1.5, 2.5]),
        tensor("count", "INT64", [2, 3]),
        tensor("island", "BYTES", ["a", "b"]),
        tensor("old", "BOOL", [True, False]),
        tensor("seen", "BYTES", ["2020-01-02", "2021-01-02"]),
    ]


def framed(inputs: list[dict[str, Any]], *contents: bytes, **rest: Any) -> tuple[bytes, str]:
    """A request with binary tensors, and its header."""
    for sent, content in zip(inputs, contents, strict=True):
        sent.pop("data", None)
        sent["parameters"] = {"binary_data_size": len(content)}
    text = body({"inputs": inputs, **rest})
    return text + b"".join(contents), str(len(text))


def texts(*values: str) -> bytes:
    return b"".join(len(value.encode()).to_bytes(4, "little") + value.encode() for value in values)


def test_binary_tensors_are_the_same_as_json_ones() -> None:
    contents = [
        np.array([1.5, 2.5]).tobytes(),
        np.array([2, 3], dtype="<i8").tobytes(),
        texts("a", "b"),
        b"\x01\x00",
        texts("2020-01-02", "2021-01-02"),
    ]
    found = v2.decode(*_sent(framed(columns(), *contents)))
    expected = v2.decode(body({"inputs": columns()}), MIXED)
    assert {name: array.tolist() for name, array in found.columns.items()} == {
        name: array.tolist() for name, array in expected.columns.items()
    }


def _sent(message: tuple[bytes, str], signature: Signature = MIXED) -> tuple[bytes, Signature, str]:
    return message[0], signature, message[1]


def test_outputs_come_back_as_bytes_when_asked_for() -> None:
    outputs = {"species": np.array(["x", "éé"], dtype=object), "probabilities": np.array([[0.25], [0.75]])}
    answer = v2.encode("m", "1", v2.Request({}, 2, all_binary=True), outputs)
    told = msgspec.json.decode(answer.body[: answer.json_length])["outputs"]
    assert [each["parameters"]["binary_data_size"] for each in told] == [4 + 1 + 4 + 4, 16]
    assert all("data" not in each for each in told)
    assert answer.body[answer.json_length :] == texts("x", "éé") + np.array([0.25, 0.75]).tobytes()
    one = v2.encode("m", "1", v2.Request({}, 2, None, (), frozenset({"probabilities"})), outputs)
    told = msgspec.json.decode(one.body[: one.json_length])["outputs"]
    assert ["data" in each for each in told] == [True, False]


def _behind(text: bytes, rest: bytes) -> tuple[bytes, str]:
    return text + rest, str(len(text))


A = {"name": "a", "datatype": "FP64", "shape": [1]}
BAD_BINARY = [
    (framed([dict(A)], b"1234567"), "has 7 bytes, its shape [1] of FP64 takes 8"),
    (framed([dict(A) | {"datatype": "BYTES"}], b"\x09\x00\x00\x00a"), "has a text of 9 bytes where 1 are left"),
    (framed([dict(A) | {"datatype": "BYTES"}], texts("a") + b"\x00"), "has 1 texts in 6 bytes"),
    (framed([dict(A) | {"datatype": "BYTES"}], b"\x01\x00\x00\x00\xff"), "not UTF-8"),
    (framed([dict(A) | {"datatype": "BOOL"}], b"\x02"), "neither 0 nor 1"),
    (framed([dict(A)], np.array([np.inf]).tobytes()), "'a'"),
    (framed([dict(A)], np.array([np.nan]).tobytes()), "'a'"),
    (framed([dict(A) | {"shape": [0]}], b""), "no rows"),
    (_behind(body({"inputs": [A | {"parameters": {"binary_data_size": 9}}]}), b"8 bytes."), "has 8 bytes left"),
    (_behind(body({"inputs": [A | {"parameters": {"binary_data_size": "8"}}]}), b"8 bytes."), "binary_data_size"),
    (_behind(body({"inputs": [tensor("a", "FP64", [1])]}), b"more"), "has 4 bytes that belong to no tensor"),
    ((b"{}", "x"), "not a length"),
    ((b"{}", "99"), "not a length"),
    ((b"{}", "-1"), "not a length"),
]


@pytest.mark.parametrize(("message", "told"), BAD_BINARY, ids=range(len(BAD_BINARY)))
def test_binary_tensors_that_are_not_as_declared(message: tuple[bytes, str], told: str) -> None:
    with pytest.raises((RequestError, InputError)) as caught:
        v2.decode(*_sent(message, ONE))
    assert told in caught.value.message


TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["length", "count", "island", "old", "seen", "a"]),
        "datatype": st.sampled_from(["FP16", "FP64", "INT8", "UINT64", "BOOL", "BYTES", "BF16"]),
        "shape": st.lists(st.integers(-1, 3) | st.integers(), max_size=3),
        "data": st.lists(st.none() | st.booleans() | st.integers() | st.text(max_size=3), max_size=4),
    }
)


@settings(deadline=None)  # The machine may be busy with other things.
@given(
    st.lists(TENSORS, max_size=3),
    st.binary(max_size=40),
    st.integers(-1, 40) | st.none(),
    st.sampled_from([MIXED, ONE]),
)
def test_no_bytes_behind_the_json_raise_anything_but_a_refusal(
    tensors: Any, behind: bytes, size: Any, signature: Signature
) -> None:
    for each in tensors[:2]:
        each.pop("data")
        each["parameters"] = {"binary_data_size": size}
    text = body({"inputs": tensors})
    with contextlib.suppress(RequestError, InputError):
        v2.decode(text + behind, signature, str(len(text)))
