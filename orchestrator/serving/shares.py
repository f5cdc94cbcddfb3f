"""How an endpoint's traffic is shared out: by chance, or by a key that keeps a client with one variant."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

_WHOLE = 2.0**64


def by_chance(thresholds: Sequence[float], chance: float) -> int:
    """The place of the variant that a chance (0 to 1) falls on; `thresholds` are the weights added up."""
    whole = thresholds[-1]
    # Rounding may make the product the whole, which is past everybody, and the last one's weight may be 0.
    return min(bisect_right(thresholds, chance * whole), bisect_left(thresholds, whole))


def by_key(endpoint: str, weights: Iterable[tuple[str, float]], value: str) -> str:
    """The variant, of these names and weights, for a value of the routing key.

    The same in every process and at any time. Each variant draws a number from its name and the value, the smallest for
    its weight wins: when a weight changes, only values that come to that variant, or leave it, move.
    """
    best, least = "", math.inf
    for name, weight in weights:
        if weight <= 0:
            continue
        digest = hashlib.blake2b(f"{endpoint}\0{name}\0{value}".encode(errors="replace"), digest_size=8).digest()
        drawn = -math.log((int.from_bytes(digest) + 0.5) / _WHOLE) / weight
        if drawn < least:
            best, least = name, drawn
    return best
