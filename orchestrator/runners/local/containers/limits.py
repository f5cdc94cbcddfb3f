"""What a container may use, as Kubernetes writes it and as engines take it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from orchestrator.errors import RunError
from orchestrator.ir.spec import Resources
from orchestrator.runners.local import placeholders

_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(m|[eE][0-9]+|[kKMGTPE]i?)?")
_POWERS = {letter: power for power, letter in enumerate("kMGTPE", start=1)} | {"K": 1}


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits as texts, placeholders filled in; "" where there is none."""

    cpu: str = ""
    memory: str = ""
    reserved: str = ""
    """Memory asked for, which the engine tries to keep free."""
    accelerator: str = ""
    """The kind asked for, e.g. `nvidia.com/gpu`."""
    count: str = ""

    @property
    def cores(self) -> float:
        """The CPUs it may use; 0 for all."""
        return _amount("CPU limit", self.cpu, "2, 0.5 or 500m")

    @property
    def bytes(self) -> int:
        """The memory it may use; 0 for all."""
        return round(_amount("memory limit", self.memory, "512Mi or 2Gi"))

    @property
    def reserved_bytes(self) -> int:
        """The memory it asks for; 0 for none."""
        return round(_amount("memory request", self.reserved, "512Mi or 2Gi"))

    @property
    def gpus(self) -> int:
        """How many NVIDIA GPUs it asks for; other accelerators are nobody's on this machine."""
        kind = self.accelerator.lower()
        asked = round(_amount("number of accelerators", self.count, "1 or 2"))
        return asked if "nvidia" in kind or not kind else 0


def of(resources: Resources | None, context: placeholders.Context) -> Limits:
    """The limits of a container. Raises RunError for a placeholder that stands for nothing."""
    if resources is None:
        return Limits()
    # The numeric fields are those of old files: cores, and units of 10^9 bytes.
    found = Limits(
        _first(resources.resource_cpu_limit, resources.cpu_limit, "", context),
        _first(resources.resource_memory_limit, resources.memory_limit, "G", context),
        _first(resources.resource_memory_request, resources.memory_request, "G", context),
    )
    asked = resources.accelerator
    if asked is None:
        return found
    count = asked.resource_count or str(asked.count)
    return replace(
        found,
        accelerator=placeholders.text(asked.resource_type or asked.type, context),
        count=placeholders.text(count, context),
    )


def quantity(text: str) -> float | None:
    """The number a Kubernetes quantity stands for; None when it is none."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    number, unit = float(match[1]), match[2] or ""
    if unit == "m":
        return number / 1000
    if unit[1:].isdigit():
        return float(text)
    base = 1024.0 if unit.endswith("i") else 1000.0
    return float(number * base ** _POWERS.get(unit[:1], 0))


def _first(text: str, number: float, unit: str, context: placeholders.Context) -> str:
    return placeholders.text(text, context) if text else f"{number:g}{unit}" if number else ""


def _amount(what: str, text: str, example: str) -> float:
    found = quantity(text) if text else 0.0
    if found is None:
        raise RunError(f"its {what} is {text!r}, which is no amount: write {example}")
    return found
