"""Numbers as an endpoint file writes them."""

from __future__ import annotations


def size(bytes_: int) -> str:
    """6291456 as "6Mi"."""
    for unit, power in (("Gi", 3), ("Mi", 2), ("Ki", 1)):
        if bytes_ >= 1024**power:
            return f"{bytes_ / 1024**power:.4g}{unit}"
    return str(bytes_)


def time(seconds: float) -> str:
    """900 as "15m"."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds * 1000:g}ms" if seconds < 1 else f"{seconds:g}s"


def money(amount: float) -> str:
    """An amount without a currency, which nobody said."""
    return f"{amount:,.2f}" if amount < 100 else f"{amount:,.0f}"


def percent(share: float) -> str:
    """A share of the whole, however small."""
    return f"{share * 100:.2g} %" if share < 0.995 else "100 %"


def count(number: int, noun: str) -> str:
    """ "1 replica", "2 replicas"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
