"""The pipelines the benchmarks run, written into a folder, with what stands beside them as floor or peer."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

IMPORTS = "import pandas, sklearn.ensemble, sklearn.linear_model\n"
_HEAD = "import sys\na = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n"
_WRITE = "with open(a['--out'], 'w') as out: out.write(a['--x'])\n"
_PROGRAMS = {
    "touch": _HEAD + _WRITE,
    "learn": IMPORTS + _HEAD + _WRITE,
    "sleep": "import time\ntime.sleep(2)\n" + _HEAD + _WRITE,
    "work": "import time\nwhile time.process_time() < 1: pass\n" + _HEAD + _WRITE,
    "make": _HEAD + "import os\nblock = os.urandom(1 << 20)\nwith open(a['--data'], 'wb') as out:\n"
    "    for _ in range(200): out.write(block)\n",
    "pass_on": _HEAD + "with open(a['--taken'], 'rb') as taken, open(a['--data'], 'wb') as out:\n"
    "    while block := taken.read(1 << 20): out.write(block)\n    out.write(b'x')\n",
}


def write(folder: Path) -> None:
    """Write everything the cases need."""
    for name, program in _PROGRAMS.items():
        is_data = name in ("make", "pass_on")
        component = {
            "apiVersion": "orchestrator/v1",
            "kind": "Component",
            "metadata": {"name": name.replace("_", "-")},
            "inputs": {"taken": {"type": "Dataset"}} if name == "pass_on" else {"x": {"type": "integer", "default": 1}},
            "outputs": {"data": {"type": "Dataset"}} if is_data else {"out": {"type": "integer"}},
            "container": {"image": "python:3.11", "command": ["python", "-m", f"components.{name}"]},
        }
        place = folder / "components" / name
        place.mkdir(parents=True)
        (place / "component.yaml").write_text(json.dumps(component))
        (place / "__main__.py").write_text(program)
    _pipeline(folder, "one", _chain(1))
    _pipeline(folder, "chain", _chain(50))
    _pipeline(folder, "learn", _chain(50, "learn"))
    _pipeline(folder, "chain10", _chain(10))
    _pipeline(folder, "chain1000", _chain(1000))
    _pipeline(folder, "fan", {f"t{n}": {"component": "touch", "arguments": {"x": n}} for n in range(50)})
    _pipeline(folder, "grid", _grid())
    _pipeline(folder, "work", {f"t{n}": {"component": "work", "arguments": {"x": n}} for n in range(8)})
    _pipeline(folder, "data", _data())
    _pipeline(folder, "conditions", _conditions(1000))
    loop = {"component": "sleep", "foreach": [1, 2, 3, 4], "parallelism": 4, "arguments": {"x": "${item}"}}
    _pipeline(folder, "sleep", {"wait": loop})
    (folder / "kfp_chain.py").write_text(_KFP)
    (folder / "light.py").write_text(_LIGHT)
    _makefiles(folder)


def forget(folder: Path) -> None:
    """Take away what earlier runs left."""
    shutil.rmtree(folder / ".orc", ignore_errors=True)
    shutil.rmtree(folder / "made", ignore_errors=True)
    shutil.rmtree(folder / "least", ignore_errors=True)


def _chain(count: int, component: str = "touch") -> dict[str, Any]:
    tasks: dict[str, Any] = {"t0": {"component": component, "arguments": {"x": 0}}}
    for n in range(1, count):
        tasks[f"t{n}"] = {"component": component, "arguments": {"x": f"${{tasks.t{n - 1}.outputs.out}}"}}
    return tasks


def _grid() -> dict[str, Any]:
    """Ten rows of ten: every task takes what the one above it made."""
    tasks: dict[str, Any] = {f"t0{n}": {"component": "touch", "arguments": {"x": n}} for n in range(10)}
    for row in range(1, 10):
        for n in range(10):
            above = f"${{tasks.t{row - 1}{n}.outputs.out}}"
            tasks[f"t{row}{n}"] = {"component": "touch", "arguments": {"x": above}}
    return tasks


def _data() -> dict[str, Any]:
    tasks: dict[str, Any] = {"t0": {"component": "make"}}
    for n in range(1, 5):
        tasks[f"t{n}"] = {"component": "pass_on", "arguments": {"taken": f"${{tasks.t{n - 1}.outputs.data}}"}}
    return tasks


def _conditions(count: int) -> dict[str, Any]:
    tasks: dict[str, Any] = {"first": {"component": "touch"}}
    for n in range(count):
        tasks[f"t{n}"] = {"component": "touch", "when": f"${{tasks.first.outputs.out}} > {n}", "arguments": {"x": n}}
    return tasks


def _pipeline(folder: Path, name: str, tasks: Mapping[str, Any]) -> None:
    file = folder / name / "pipeline.yaml"
    file.parent.mkdir()
    document = {"apiVersion": "orchestrator/v1", "kind": "Pipeline", "metadata": {"name": name}, "tasks": tasks}
    file.write_text(json.dumps(document, indent=1))


def _makefiles(folder: Path) -> None:
    program = f"{sys.executable} -S -c pass && mkdir -p made && touch $@"
    chain = ["all: made/49"] + [f"made/{n}: {f'made/{n - 1}' if n else ''}\n\t{program}" for n in range(50)]
    fan = ["all: " + " ".join(f"made/{n}" for n in range(50))] + [f"made/{n}:\n\t{program}" for n in range(50)]
    (folder / "chain.mk").write_text("\n".join(chain) + "\n")
    (folder / "fan.mk").write_text("\n".join(fan) + "\n")


_KFP = """
import tempfile
from kfp import compiler, dsl

@dsl.container_component
def touch(x: int, out: dsl.OutputPath(int)):
    return dsl.ContainerSpec(image="python:3.11", command=["python", "-c", "pass"], args=[x, out])

@dsl.pipeline
def chain():
    last = touch(x=0)
    for _ in range(999):
        last = touch(x=last.outputs["out"])

with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
    compiler.Compiler().compile(chain, file.name)
"""

_LIGHT = """
from kfp import compiler, dsl

@dsl.component
def add(a: int) -> int:
    return a + 1

@dsl.pipeline
def one():
    add(a=1)

@dsl.pipeline
def many():
    last = add(a=1)
    for _ in range(20):
        last = add(a=last.output)

compiler.Compiler().compile(one, "light1.yaml")
compiler.Compiler().compile(many, "light21.yaml")
"""
