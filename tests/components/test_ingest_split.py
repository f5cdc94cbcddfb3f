"""A row's split is a matter of its key alone: laws, and the canonical form pinned against hashlib."""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.ingest import ingest, split
from components.ingest.ingest import Plan
from orchestrator.errors import OrchestratorError

KEYS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=60),
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=60),
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=60),
    st.lists(st.booleans(), min_size=1, max_size=60),
    st.lists(st.datetimes(timezones=st.just(UTC)), min_size=1, max_size=60),
)


def places(values: list[Any]) -> list[float]:
    return split.by_key(pa.table({"key": pa.array(values)}), ["key"]).tolist()


def place(text: str) -> float:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


@given(KEYS, st.randoms())
def test_a_row_keeps_its_place_whatever_the_others_and_their_order(values: list[Any], random: Any) -> None:
    found = dict(zip(map(repr, values), places(values), strict=True))
    shuffled = random.sample(values, k=random.randint(1, len(values)))
    assert places(shuffled) == [found[repr(value)] for value in shuffled]
    assert all(0 <= each < 1 for each in found.values())


@given(st.lists(st.tuples(st.integers(0, 9), st.text("ab", max_size=2)), min_size=1, max_size=40))
def test_the_order_of_columns_does_not_matter(rows: list[tuple[int, str]]) -> None:
    numbers, texts = [row[0] for row in rows], [row[1] for row in rows]
    one = pa.table({"n": numbers, "t": texts, "other": list(range(len(rows)))})
    two = pa.table({"t": texts, "n": numbers})
    assert split.by_key(one, ["n", "t"]).tolist() == split.by_key(two, ["t", "n"]).tolist()


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pa.array([7]), "7"),
        (pa.array([7], pa.int8()), "7"),
        (pa.array([7.0]), "7"),
        (pa.array(["7"]), "7"),
        (pa.array([7], pa.float32()), "7"),
        (pa.array([0.1]), "0.1"),
        (pa.array([-0.0]), "0"),
        (pa.array([1e22]), "10000000000000000000000"),
        (pa.array([float("inf")]), "inf"),
        (pa.array([True]), "true"),
        (pa.array(["Ñandú"]), "Ñandú"),
        (pa.array([datetime(2013, 1, 1, 10, tzinfo=UTC)], pa.timestamp("ns", "Europe/Madrid")), "1357034400000000"),
        (pa.array([datetime(2013, 1, 1, 10)], pa.timestamp("s")), "1357034400000000"),  # noqa: DTZ001
    ],
)
def test_the_canonical_form_does_not_depend_on_how_a_value_is_stored(column: Any, text: str) -> None:
    assert split.by_key(pa.table({"key": column}), ["key"]).tolist() == [place(text)]


def test_the_places_are_these_for_ever() -> None:
    # Were they to change, every model would be measured on rows that an older one was trained on.
    assert places(["penguin"]) == [place("penguin")] == [0.025064481437295005]
    table = pa.table({"b": ["x", None], "a": [1, 2]})
    assert split.by_key(table, ["b", "a"]).tolist() == [place("1\x1fx"), place("2\x1f\0")]


@given(st.integers(0, 2**32), st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (0.98, 0.01, 0.01)]))
def test_shares_are_within_their_binomial_bounds(start: int, wanted: tuple[float, float, float]) -> None:
    rows = 4000
    found = split.assign(
        split.by_key(pa.table({"id": np.arange(start, start + rows)}), ["id"]),
        dict(zip(split.SPLITS, wanted, strict=True)),
    )
    assert np.sum(list(found.values()), axis=0).tolist() == [1] * rows
    for name, share in zip(split.SPLITS, wanted, strict=True):
        # Six standard deviations: one in five hundred million.
        assert abs(found[name].sum() - rows * share) < 6 * math.sqrt(rows * share * (1 - share))


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1), st.floats(0.1, 0.8))
def test_a_larger_train_share_takes_rows_and_gives_none_back(where: list[float], share: float) -> None:
    small = split.assign(np.array(where), {"train": share, "test": 1 - share})["train"]
    large = split.assign(np.array(where), {"train": share + 0.1, "test": 0.9 - share})["train"]
    assert not np.any(small & ~large)


def test_shares_that_do_not_add_up_in_binary_lose_no_row() -> None:
    thirds = split.shares({"train": 0.7, "validation": 0.2, "test": 0.1})
    found = split.assign(np.array([0.0, 0.7, 0.9, 1 - 2**-53]), thirds)
    assert np.sum(list(found.values()), axis=0).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"train": 0.8, "test": 0.3}, "the shares sum to 1.1, not 1 (0.8 + 0.3)"),
        ({"train": 1, "test": 0}, "the share of 'test' is a number above 0, not 0"),
        ({"train": True}, "the share of 'train' is a number above 0, not True"),
        ({"train": float("nan")}, "the share of 'train' is a number above 0, not nan"),
        ({"train": 0.8, "tets": 0.2}, "did you mean 'test'?"),
        ({}, "the shares sum to 0, not 1 (nothing)"),
    ],
)
def test_wrong_shares_are_refused(shares: dict[str, Any], message: str) -> None:
    with pytest.raises(OrchestratorError) as caught:
        split.shares(shares)
    assert message in str(caught.value)


TABLE = pa.table({"id": list(range(200)), "label": [None, *["yes", "no"] * 99, "yes"], "group": [1, 2] * 100})


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan(key=["ident"]), "there is no column 'ident'"),
        (Plan(key=["idd"]), "did you mean 'id'?"),
        (Plan(key=["label"]), "the key column 'label' has no value in 1 rows, the first being row 1"),
        (Plan(key=["id", "id"]), "key: names 'id' twice"),
        (Plan(key=["group"], shares={"train": 0.98, "test": 0.02}), "the key has too few different values"),
        (Plan(method="random"), "a random split needs a seed"),
        (Plan(method="random", seed=-1), "a whole number from 0, not -1"),
        (Plan(method="random", seed=1, key=["id"]), "a random split takes no key"),
        (Plan(seed=1), "a split by hash takes no seed"),
        (Plan(method="hsah"), "did you mean 'hash'?"),
        (Plan(columns=["labell"]), "did you mean 'label'?"),
        (Plan(drop_missing=["nothing"]), "there is no column 'nothing'"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(plan: Plan, message: str) -> None:
    with pytest.raises(OrchestratorError) as caught:
        ingest.ingest(TABLE, plan)
    assert message in str(caught.value)


def test_rows_without_a_label_are_dropped_and_counted() -> None:
    splits = ingest.ingest(TABLE, Plan(key=["id"], drop_missing=["label"], columns=["label", "id"]))
    assert splits.dropped == {"label": 1}
    assert splits.rows == 199
    assert splits.tables["validation"].num_rows == 0
    assert all(table.column_names == ["label", "id"] for table in splits.tables.values())


def test_a_random_split_repeats_with_its_seed_only() -> None:
    def train(seed: int) -> list[int]:
        found: list[int] = ingest.ingest(TABLE, Plan(method="random", seed=seed)).tables["train"]["id"].to_pylist()
        return found

    assert train(1) == train(1)
    assert train(1) != train(2)


def test_equal_rows_share_a_split_when_the_whole_row_is_the_key() -> None:
    twice = pa.concat_tables([TABLE, TABLE])
    splits = ingest.ingest(twice, Plan())
    ids = {name: set(table["id"].to_pylist()) for name, table in splits.tables.items()}
    assert not ids["train"] & ids["test"]
    assert splits.rows == 400
