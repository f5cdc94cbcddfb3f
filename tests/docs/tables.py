"""The tables of inputs and outputs in docs/components.md, made from the component files they describe."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator import source

_SECTION = re.compile(r"(<!-- generated:(?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def renewed(text: str, components: Path) -> str:
    """The text with what stands between `<!-- generated:NAME -->` and `<!-- end -->` made anew."""

    def section(match: re.Match[str]) -> str:
        return f"{match[1]}{tables(components / match['name'] / 'component.yaml')}{match[3]}"

    return _SECTION.sub(section, text)


def named(text: str) -> list[str]:
    """The components a text has tables of."""
    return [match["name"] for match in _SECTION.finditer(text)]


def tables(file: Path) -> str:
    """The description of a component and its two tables."""
    data = source.read(file).data
    inputs = [_input(name, each) for name, each in data.get("inputs", {}).items()]
    outputs = [f"| `{name}` | {each['type']} | {_cell(each)} |" for name, each in data.get("outputs", {}).items()]
    return "\n".join(
        [
            data["metadata"]["description"],
            "",
            "| input | type | default | |",
            "|---|---|---|---|",
            *inputs,
            "",
            "| output | type | |",
            "|---|---|---|",
            *outputs,
            "",
        ]
    )


def _input(name: str, declared: Mapping[str, Any]) -> str:
    return f"| `{name}` | {declared['type']} | {_default(declared)} | {_cell(declared)} |"


def _default(declared: Mapping[str, Any]) -> str:
    if declared.get("default") is not None:
        return f"`{json.dumps(declared['default'])}`"
    return "may be left out" if declared.get("optional") or declared["type"] == "TaskFinalStatus" else "required"


def _cell(declared: Mapping[str, Any]) -> str:
    return str(declared.get("description", "")).strip().replace("|", "\\|")
