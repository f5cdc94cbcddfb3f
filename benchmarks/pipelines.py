"""The pipelines the benchmarks run, written into a folder, with what stands beside them as floor or peer."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PASS = "import sys; a = dict(zip(sys.argv[1::2], sys.argv[2::2])); open(a['--out'], 'w').write(a['--x'])"
_SLEEP = "import sys, time; time.sleep(2); open(sys.argv[4], 'w').write(sys.argv[2])"


def write(folder: Path) -> None:
    """Write everything the cases need."""
    for name, program in (("touch", _PASS), ("sleep", _SLEEP)):
        component = {
            "apiVersion": "orchestrator/v1",
            "kind": "Component",
            "metadata": {"name": name},
            "inputs": {"x": {"type": "integer", "default": 1}},
            "outputs": {"out": {"type": "integer"}},
            "container": {"image": "python:3.11", "command": ["python", "-S", "-c", program]},
        }
        place = folder / "components" / name
        place.mkdir(parents=True)
        (place / "component.yaml").write_text(json.dumps(component))
    _pipeline(folder, "chain", _chain(50))
    _pipeline(folder, "chain1000", _chain(1000))
    _pipeline(folder, "fan", {f"t{n}": {"component": "touch", "arguments": {"x": n}} for n in range(50)})
    _pipeline(folder, "conditions", _conditions(1000))
    loop = {"component": "sleep", "foreach": [1, 2, 3, 4], "parallelism": 4, "arguments": {"x": "${item}"}}
    _pipeline(folder, "sleep", {"wait": loop})
    (folder / "spawn.py").write_text(
        "import subprocess, sys\nfor _ in range(50): subprocess.run([sys.executable, '-S', '-c', 'pass'], check=True)\n"
    )
    (folder / "kfp_chain.py").write_text(_KFP)
    _makefiles(folder)


def forget(folder: Path) -> None:
    """Take away what earlier runs left."""
    shutil.rmtree(folder / ".orc", ignore_errors=True)
    shutil.rmtree(folder / "made", ignore_errors=True)


def _chain(count: int) -> dict[str, Any]:
    tasks: dict[str, Any] = {"t0": {"component": "touch", "arguments": {"x": 0}}}
    for n in range(1, count):
        tasks[f"t{n}"] = {"component": "touch", "arguments": {"x": f"${{tasks.t{n - 1}.outputs.out}}"}}
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
