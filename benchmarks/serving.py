"""`python -m benchmarks.serving`: CPU of the model server per request, beside the least it could cost and kserve.

kserve runs in an environment of its own, made once by uv below ~/.cache; both serve an estimator of scikit-learn
that was fitted to the same rows. Only this machine's numbers of one run compare: rounds of all servers take turns.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import served, trained
from benchmarks.served import Request, Running

HERE = Path(__file__).resolve().parent
KSERVE = "0.21.0"


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table: a request, who of ours and of the peer is asked, and what is promised."""

    name: str
    ours: str
    """The endpoint."""
    peer: str
    """The kind of model: linear or forest."""
    rows: int
    binary: bool
    times: int
    most: float | None
    """Microseconds."""
    ratio: float | None
    """How many times less than kserve."""


CASES = (
    Case("V2, 1 row, scikit-learn", "linear", "linear", 1, False, 1500, 350, 2.5),
    Case("V2, 1 row, ONNX", "linear-onnx", "linear", 1, False, 1500, 200, 4),
    Case("V2, 1000 rows, scikit-learn", "linear", "linear", 1000, False, 200, None, 5),
    Case("V2, 1000 rows, ONNX", "linear-onnx", "linear", 1000, False, 200, None, 5),
    Case("V2 binary, 1000 rows, scikit-learn", "linear", "linear", 1000, True, 300, None, 5),
    Case("V2 binary, 1000 rows, ONNX", "linear-onnx", "linear", 1000, True, 300, None, 5),
    Case("forest of 100 trees, 1 row, ONNX", "forest-onnx", "forest", 1, False, 400, None, 30),
    Case("V2, 1 row, scikit-learn, all captured", "captured", "linear", 1, False, 1500, None, None),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of which the median counts")
    parser.add_argument("--only", default="", help="only the cases whose name contains this text")
    parser.add_argument("--no-kserve", action="store_true", help="without the peer")
    chosen = parser.parse_args()
    peer = None if chosen.no_kserve else environment()
    cases = [each for each in CASES if chosen.only in each.name]
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        models = trained.models(folder)
        one = tensor("linear", models.rows[:1], binary=False)
        ours = stack.enter_context(_ours(trained.declared(folder, models), one))
        servers = {"floor": stack.enter_context(_floor(one)), "ours": ours}
        for kind in sorted({each.peer for each in cases}) if peer else ():
            servers[kind] = stack.enter_context(_peer(peer, models.joblib[kind], one))
        told = table(cases, servers, models.rows, chosen.rounds)
        if {"linear", "captured"} <= told.keys():
            print(f"\ncapture adds {told['captured'] / told['linear'] - 1:.0%} (bound 20 %)")
        said = {"ours": ours, **({"kserve": servers["linear"]} if "linear" in servers else {})}
        print("\nstart to first answer, scikit-learn: " + _each(said, lambda each: f"{each.first:.2f} s"))
        print("memory, all of the above loaded: " + _each(said, lambda each: f"{each.mib():.0f} MiB"))
    with tempfile.TemporaryDirectory() as name:
        alone(Path(name))


def table(cases: Sequence[Case], servers: Mapping[str, Running], rows: np.ndarray, rounds: int) -> dict[str, float]:
    """Print the lines; of our server, for one row, the medians by endpoint."""
    ours: dict[str, float] = {}
    print(f"server CPU per request in microseconds, medians of {rounds} rounds\n")
    print(f"{'case':<40}{'floor':>7}{'ours':>8}{'kserve':>8}{'ratio':>7}  bound")
    for case in cases:
        asked = {"floor": ("floor", "bench"), "ours": ("ours", case.ours)}
        if case.peer in servers:
            asked["kserve"] = (case.peer, "bench")
        taken: dict[str, list[float]] = {each: [] for each in asked}
        for _ in range(rounds):
            for each, (server, name) in asked.items():
                request = tensor(name, rows[: case.rows], binary=case.binary)
                servers[server].ask(request, max(10, case.times // 20))
                before = servers[server].cpu()
                servers[server].ask(request, case.times)
                taken[each].append((servers[server].cpu() - before) / case.times * 1e6)
        told = {each: statistics.median(found) for each, found in taken.items()}
        print(_line(case, told), flush=True)
        if case.rows == 1:
            ours[case.ours] = told["ours"]
    return ours


def alone(folder: Path) -> None:
    """A server of one ONNX model: its start and its memory."""
    models = trained.models(folder)
    state = trained.declared(folder, models, only="linear-onnx")
    request = tensor("linear-onnx", models.rows[:1], binary=False)
    firsts: list[float] = []
    for _ in range(3):
        with _ours(state, request) as running:
            firsts.append(running.first)
            mib = running.mib()
    first = statistics.median(firsts)
    print(f"ONNX alone: start to first answer {first:.2f} s (bound 1.5), {mib:.0f} MiB (bound 100)")


def tensor(name: str, rows: np.ndarray, *, binary: bool) -> Request:
    """A V2 request of one tensor [rows, columns]."""
    about = {"name": "rows", "shape": list(rows.shape), "datatype": "FP64"}
    path = f"/v2/models/{name}/infer"
    if not binary:
        body = json.dumps({"inputs": [{**about, "data": rows.ravel().tolist()}]}).encode()
        return Request(path, body, {"content-type": "application/json"})
    data = np.ascontiguousarray(rows).tobytes()
    told = json.dumps({"inputs": [{**about, "parameters": {"binary_data_size": len(data)}}]}).encode()
    headers = {"content-type": "application/octet-stream", "inference-header-content-length": str(len(told))}
    return Request(path, told + data, headers)


def environment() -> Path:
    """The Python of an environment with kserve."""
    import sklearn

    folder = Path.home() / ".cache" / "orchestrator-benchmarks" / f"kserve-{KSERVE}-{sklearn.__version__}"
    python = folder / "bin" / "python"
    if not python.exists():
        print("making an environment with kserve, once ...", flush=True)
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        wanted = [f"kserve=={KSERVE}", f"scikit-learn=={sklearn.__version__}"]
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *wanted], check=True)
    return python


def _ours(state: Path, request: Request) -> contextlib.AbstractContextManager[Running]:
    port = served.free_port()
    command = [sys.executable, "-m", "orchestrator.serving", "--state", str(state), "--port", str(port)]
    return served.running(command, port, request, {})


def _floor(request: Request) -> contextlib.AbstractContextManager[Running]:
    port = served.free_port()
    return served.running([sys.executable, str(HERE / "bare_server.py"), str(port)], port, request, {})


def _peer(python: Path, model: Path, request: Request) -> contextlib.AbstractContextManager[Running]:
    port = served.free_port()
    command = [str(python), str(HERE / "kserve_server.py"), str(model), "--http_port", str(port)]
    asked = Request("/v2/models/bench/infer", request.body, request.headers)
    return served.running(command, port, asked, {"OMP_NUM_THREADS": "1"})


def _line(case: Case, told: Mapping[str, float]) -> str:
    bounds = [f"<= {case.most:g} us"] if case.most else []
    bounds += [f"<= 1/{case.ratio:g} of kserve"] if case.ratio else []
    peer = told.get("kserve")
    beside = f"{peer:>8.0f}{peer / told['ours']:>7.1f}" if peer else f"{'-':>8}{'-':>7}"
    return f"{case.name:<40}{told['floor']:>7.0f}{told['ours']:>8.0f}{beside}  {', '.join(bounds)}"


def _each(servers: Mapping[str, Running], say: object) -> str:
    return ", ".join(f"{name} {say(each)}" for name, each in servers.items())  # type: ignore[operator]


if __name__ == "__main__":
    main()
