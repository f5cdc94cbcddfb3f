"""Which variant a request goes to: by chance, by key, and what a change of weights moves."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.serving import shares

weights = st.lists(st.floats(0, 1e6), min_size=1, max_size=10).filter(lambda found: sum(found) > 0)


@given(weights, st.floats(0, 1, exclude_max=True))
def test_chance_never_falls_on_who_takes_nothing(found: list[float], chance: float) -> None:
    thresholds = [math.fsum(found[: place + 1]) for place in range(len(found))]
    assert found[shares.by_chance(thresholds, chance)] > 0


def test_chance_falls_by_weight() -> None:
    thresholds = [0.9, 0.9, 1.0]
    drawn = Counter(shares.by_chance(thresholds, place / 1000) for place in range(1000))
    assert drawn == {0: 900, 2: 100}


def test_a_key_goes_to_the_same_variant_in_every_process() -> None:
    program = (
        "from orchestrator.serving import shares;"
        "print(*[shares.by_key('e', [('a', 1.0), ('b', 2.0), ('c', 0.0)], f'customer {n}') for n in range(40)])"
    )
    ask = [sys.executable, "-c", program]
    here = [shares.by_key("e", [("c", 0.0), ("b", 2.0), ("a", 1.0)], f"customer {number}") for number in range(40)]
    for seed in ("1", "2"):
        there = subprocess.run(ask, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed})
        assert there.stdout.split() == here
    # Written down: another version of this program sends nobody elsewhere.
    assert "".join(here[:20]) == "abaaabbbbbbbabbbbbba"


def test_keys_are_shared_out_by_weight_and_only_those_move_that_must() -> None:
    values = [f"customer-{number}" for number in range(20_000)]
    before = {value: shares.by_key("shop", [("main", 0.9), ("next", 0.1)], value) for value in values}
    count = Counter(before.values())["next"]
    # Binomial, 99.9 %: keys are fixed, and so is the outcome.
    assert abs(count - 2000) < 3.29 * math.sqrt(20_000 * 0.1 * 0.9)
    after = {value: shares.by_key("shop", [("main", 0.9), ("next", 0.9)], value) for value in values}
    assert abs(Counter(after.values())["next"] - 10_000) < 3.29 * math.sqrt(20_000 * 0.5 * 0.5)
    moved = {(before[value], after[value]) for value in values if before[value] != after[value]}
    assert moved == {("main", "next")}
    third = {value: shares.by_key("shop", [("main", 0.9), ("next", 0.1), ("new", 0.2)], value) for value in values}
    assert {third[value] for value in values if third[value] != before[value]} == {"new"}


@pytest.mark.parametrize("value", ["", "\udcff", "é" * 10_000])
def test_any_value_is_a_key(value: str) -> None:
    assert shares.by_key("e", [("a", 1e-9), ("b", 1e9)], value) in ("a", "b")
