"""Sizes, times, amounts of CPU, shares and names, as endpoint files write them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(|k|M|G|T|Ki|Mi|Gi|Ti)B?")
_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h)")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    f"{unit}i": 1024**power for power, unit in enumerate("KMGT", start=1)
}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_CPU = re.compile(r"[0-9]+(\.[0-9]+)?m?")


def size(text: str) -> int:
    """ "6Mi" as a number of bytes."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size")
    return int(float(match[1]) * _UNITS[match[2]])


def seconds(text: str) -> float:
    """ "500ms" as a number of seconds."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a length of time")
    return float(match[1]) * _SECONDS[match[2]]


def _named(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{text!r} cannot be a name in a URL and on a cluster",
            "lower-case letters, digits and '-', at most 63, beginning with a letter",
        )
    return text


def _text(value: Any) -> Any:
    """A quantity may be written as a bare number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _size(text: str) -> str:
    if not _SIZE.fullmatch(text):
        raise ValueError(f"{text!r} is not a size", "for example 512Ki, 6Mi or 2Gi")
    return text


def _time(text: str) -> str:
    if not _TIME.fullmatch(text) or seconds(text) <= 0:
        raise ValueError(f"{text!r} is not a length of time", "for example 500ms, 30s or 2m")
    return text


def _pause(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text!r} is not a length of time", "for example 0s, 30s or 5m")
    return text


def _cpu(text: str) -> str:
    if not _CPU.fullmatch(text):
        raise ValueError(f"{text!r} is not an amount of CPU", "for example 2, 0.5 or 500m")
    return text


def _bound(value: Any) -> Any:
    """A bound of an alarm as a bare number: seconds of a time, a fraction of a percentage."""
    if not isinstance(value, str):
        return value
    if _TIME.fullmatch(value):
        return seconds(value)
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?%", value):
        return float(value[:-1]) / 100
    raise ValueError(f"{value!r} is not a bound", "write a number, a share such as 1%, or a time such as 500ms")


Name = Annotated[str, AfterValidator(_named)]
Size = Annotated[str, BeforeValidator(_text), AfterValidator(_size)]
Time = Annotated[str, AfterValidator(_time)]
Pause = Annotated[str, AfterValidator(_pause)]
"""A time that may be none at all."""
Cpu = Annotated[str, BeforeValidator(_text), AfterValidator(_cpu)]
Bound = Annotated[float, BeforeValidator(_bound), Field(allow_inf_nan=False)]
