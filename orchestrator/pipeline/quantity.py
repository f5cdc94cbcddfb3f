"""Amounts as people write them: durations (`90`, `10s`, `1h30m`, `7d`) and Kubernetes quantities (`500m`, `2Gi`)."""

from __future__ import annotations

import re

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(?:[0-9]+[smhdw])+")
_CPU = re.compile(r"[0-9]*\.?[0-9]+m?")
_MEMORY = re.compile(r"([0-9]+)([EPTGMK]i?)?")
_POWERS = {letter: power for power, letter in enumerate("KMGTPE", start=1)}


def seconds(value: int | str) -> int:
    """A duration in whole seconds; ValueError (message, hint) when it is none."""
    if isinstance(value, int):
        if value < 0:
            raise ValueError(f"a duration is not negative: {value}")
        return value
    text = value.strip()
    if text.isdecimal():
        return int(text)
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{value!r} is not a duration", "write a number with a unit: 10s, 30m, 12h, 7d, 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)([smhdw])", text))


def cpu(value: int | float | str) -> str:
    """A number of CPUs as Kubernetes writes it."""
    text = format(value, "g") if isinstance(value, float) else str(value)
    if not _CPU.fullmatch(text):
        raise ValueError(f"{value!r} is not a number of CPUs", "write 2, 0.5 or 500m")
    return text


def memory(value: int | str) -> str:
    """An amount of memory as Kubernetes writes it."""
    text = str(value)
    if not _MEMORY.fullmatch(text):
        raise ValueError(f"{value!r} is not an amount of memory", "write bytes or a unit: 512Mi, 2Gi, 4G")
    return text


def cores(text: str) -> float:
    """The CPUs a quantity stands for."""
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def gigabytes(text: str) -> float:
    """The memory a quantity stands for, in units of 10^9 bytes, as KFP's older fields hold it."""
    match = _MEMORY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an amount of memory")
    number, unit = match.groups()
    base = 1024 if unit and unit.endswith("i") else 1000
    return float(int(number) * base ** _POWERS.get((unit or " ")[0], 0)) / 1000**3
