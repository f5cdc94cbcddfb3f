"""Which split a row belongs to: a pure function of its key, or of a seed when asked for.

The canonical form of a key, which the hash is taken of, does not depend on how a file spells a value:

* an integer, and a float that is whole: its decimal digits (`7`, `7.0` and the text `7` are one key);
* another float: the shortest text that reads back as the same 64-bit float (`0.1`);
* a boolean: `true` or `false`; a text: itself; a timestamp: microseconds since 1970-01-01 UTC, in digits;
* a missing value (only where the whole row is the key): one zero byte.

The key's columns are taken in the order of their names, joined by a unit separator (0x1f), encoded as UTF-8 and hashed
with BLAKE2b to 8 bytes. The upper 53 bits, read as a big-endian fraction, are the row's place in [0, 1); the splits
follow each other there as train, validation, test, each as wide as its share.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.errors import OrchestratorError, did_you_mean

SPLITS = ("train", "validation", "test")

_SEPARATOR = "\x1f"
_MISSING = "\0"
_TOLERANCE = 1e-6

Places = npt.NDArray[np.float64]


def shares(given: Mapping[str, Any]) -> dict[str, float]:
    """The share of each split, in the fixed order; raises OrchestratorError unless they are positive and sum to 1."""
    for name, share in given.items():
        if name not in SPLITS:
            raise OrchestratorError(f"split: there is no split {name!r}", hint=did_you_mean(name, SPLITS))
        number = not isinstance(share, bool) and isinstance(share, int | float)
        if not number or not math.isfinite(share) or share <= 0:
            hint = "leave out a split that should get nothing"
            raise OrchestratorError(f"split: the share of {name!r} is a number above 0, not {share!r}", hint=hint)
    total = math.fsum(given.values())
    if abs(total - 1) > _TOLERANCE:
        listed = " + ".join(f"{share:g}" for share in given.values()) or "nothing"
        raise OrchestratorError(f"split: the shares sum to {total:g}, not 1 ({listed})")
    return {name: float(given[name]) for name in SPLITS if name in given}


def by_key(table: pa.Table, key: Sequence[str]) -> Places:
    """Every row's place in [0, 1), from its key columns alone."""
    columns = [_canonical(table[name]) for name in sorted(key)]
    texts = pc.binary_join_element_wise(
        *columns, _SEPARATOR, null_handling="replace", null_replacement=_MISSING
    ).to_pylist()
    blake2b = hashlib.blake2b
    digests = b"".join([blake2b(text.encode(), digest_size=8).digest() for text in texts])
    places: Places = (np.frombuffer(digests, dtype=">u8") >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return places


def at_random(rows: int, seed: int) -> Places:
    """A place for each of `rows` rows, drawn in row order."""
    return np.random.Generator(np.random.PCG64(seed)).random(rows)


def assign(places: Places, widths: Mapping[str, float]) -> dict[str, npt.NDArray[np.bool_]]:
    """For each split, which rows belong to it: every row to exactly one."""
    bounds = np.cumsum(list(widths.values()))
    # Shares of 0.1 do not add up to exactly 1 in binary; no place may fall behind the last bound.
    bounds[-1] = 1.0
    chosen = np.searchsorted(bounds, places, side="right")
    return {name: chosen == number for number, name in enumerate(widths)}


def _canonical(column: Any) -> Any:
    kind = column.type
    if pa.types.is_string(kind):
        return column
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", tz=kind.tz), safe=False).cast(pa.int64()).cast(pa.string())
    if pa.types.is_floating(kind):
        # Python spells the distinct values: Arrow's own float format is not promised to stay.
        distinct = column.cast(pa.float64()).combine_chunks().dictionary_encode()
        distinct = distinct.combine_chunks() if isinstance(distinct, pa.ChunkedArray) else distinct
        spelled = pa.array([_spelled(value) for value in distinct.dictionary.to_pylist()], pa.string())
        return spelled.take(distinct.indices)
    return column.cast(pa.string())


def _spelled(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
