"""`python -m benchmarks`: whole processes, medians of CPU and wall seconds, memory; floor and peer in the same run."""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import pipelines

ROOT = Path(__file__).resolve().parent.parent
ORC = str(Path(sys.executable).parent / "orc")


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians over the runs of a command."""

    cpu: float
    wall: float
    mib: float


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table."""

    name: str
    command: Sequence[str]
    bound: str = ""
    before: Callable[[Path], None] | None = None
    """Puts the folder the command runs in into the state it starts from."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each command, after one warm-up")
    parser.add_argument("--only", default="", help="only the cases whose name contains this text")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pipelines.write(folder)
        subprocess.run([sys.executable, "-W", "ignore", "light.py"], cwd=folder, check=True)
        python = sys.version.split()[0]
        print(f"medians of {chosen.runs} runs, after one warm-up; Python {python}, {os.cpu_count()} cores\n")
        print(f"{'case':<58}{'CPU s':>8}{'wall s':>8}{'MiB':>7}  bound")
        for case in cases(folder):
            if chosen.only in case.name:
                told = measure(case, folder, chosen.runs)
                print(f"{case.name:<58}{told.cpu:>8.3f}{told.wall:>8.3f}{told.mib:>7.0f}  {case.bound}", flush=True)


def cases(folder: Path) -> list[Case]:
    """What is measured: floors and peers stand beside what they are for."""
    python = sys.executable

    def compile(name: str) -> list[str]:
        return [ORC, "compile", str(folder / name / "pipeline.yaml")]

    def run(name: str, *options: str) -> list[str]:
        file = folder / name
        return [ORC, "run", str(file if file.suffix else file / "pipeline.yaml"), "--format", "plain", *options]

    def least(shape: str) -> list[str]:
        return [python, "-S", "-E", str(ROOT / "benchmarks" / "least.py"), shape, str(folder / "least")]

    def make(name: str, *options: str) -> list[str]:
        return ["make", "-s", *options, "-f", str(folder / f"{name}.mk")]

    fresh = pipelines.forget
    return [
        Case("floor: python -c pass", [python, "-c", "pass"]),
        Case("floor: import typer, pydantic, yaml", [python, "-c", "import typer, pydantic, yaml"]),
        Case("orc --help", [ORC, "--help"], "CPU <= 0.15"),
        Case("orc compile, 10 tasks", compile("chain10"), "CPU <= 0.4"),
        Case("orc compile, 1000 tasks", compile("chain1000"), "CPU <= 1.0, 150 MiB, 0.5 MB"),
        Case("orc compile, 1000 conditions", compile("conditions"), "CPU <= 1.5, 150 MiB"),
        Case("peer: the KFP SDK compiles 1000 tasks", [python, str(folder / "kfp_chain.py")]),
        # Tasks of a shape are all alike, so that only without the cache each of them is a process.
        Case("floor: the least that forks, records, caches: chain of 50", least("chain"), before=fresh),
        Case("orc run, chain of 50", run("chain", "--no-cache"), "wall <= 0.5, 80 MiB", before=fresh),
        Case("orc run --cold, chain of 50", run("chain", "--no-cache", "--cold"), before=fresh),
        Case("peer: make, chain of 50 pythons", make("chain"), before=fresh),
        Case("orc run, chain of 50, cached", run("chain"), "wall <= 0.3"),
        Case("floor: the least: fan of 50", least("fan"), before=fresh),
        Case("orc run, fan of 50", run("fan", "--no-cache"), "wall <= 0.5", before=fresh),
        Case("peer: make -j2, fan of 50 pythons", make("fan", "-j2"), before=fresh),
        Case("floor: the least: grid of 10 x 10", least("grid"), before=fresh),
        Case("orc run, grid of 10 x 10", run("grid", "--no-cache"), "wall <= 0.8", before=fresh),
        Case("floor: import pandas, scikit-learn", [python, "-c", pipelines.IMPORTS]),
        Case("orc run, chain of 50 that import them", run("learn", "--no-cache"), "wall <= 2.4", before=fresh),
        Case("orc run, a KFP lightweight component", run("light1.yaml", "--no-cache"), before=fresh),
        Case("orc run, 21 of them", run("light21.yaml", "--no-cache"), "wall <= one + 20 x 0.02", before=fresh),
        Case("orc run, 8 x 1 s of CPU, 2 at once", run("work", "--workers", "2"), "wall <= 4.4", before=fresh),
        Case("orc run, loop of 4 x 2 s at parallelism 4", run("sleep"), "wall <= 2.5", before=fresh),
        Case("floor: the least: 200 MB through 5 tasks", least("data"), before=fresh),
        Case("orc run, 200 MB through 5 tasks", run("data"), "wall <= 2.0", before=fresh),
    ]


def measure(case: Case, folder: Path, runs: int) -> Measured:
    """Run a command some times; the operating system's own accounting of the whole process tree that was waited for."""
    taken = []
    for number in range(runs + 1):
        if case.before:
            case.before(folder)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.perf_counter()
        environment = {**os.environ, "ORC_STATE": str(folder / ".orc"), "NO_COLOR": "1"}
        done = subprocess.run(case.command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        wall = time.perf_counter() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            sys.exit(f"{case.name}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        if number:
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            taken.append((cpu, wall))
    # The kernel keeps the largest child ever seen, so the memory is asked of one more run, by itself.
    script = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL);"
        " print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    alone = subprocess.run(
        [sys.executable, "-c", script, *case.command],
        cwd=folder,
        env={**os.environ, "ORC_STATE": str(folder / ".orc")},
        capture_output=True,
        text=True,
        check=True,
    )
    mib = int(alone.stdout) / 1024
    return Measured(statistics.median(cpu for cpu, _ in taken), statistics.median(wall for _, wall in taken), mib)


if __name__ == "__main__":
    main()
