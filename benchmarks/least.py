"""The floor: the least that isolates, records and caches. It forks a process per task, and digests what is made.

`python least.py chain|fan|grid|data FOLDER`. It knows no files, types, errors, conditions, logs or kills.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
from pathlib import Path

BLOCK = os.urandom(1 << 20)
SHAPES = {
    "chain": {n: [n - 1] if n else [] for n in range(50)},
    "fan": {n: [] for n in range(50)},
    "grid": {n: [n - 10] if n >= 10 else [] for n in range(100)},
    "data": {n: [n - 1] if n else [] for n in range(5)},
}


def main(shape: str, folder: Path) -> None:
    """Run the tasks of a shape, two at once."""
    tasks = SHAPES[shape]
    folder.mkdir(parents=True)
    record = sqlite3.connect(folder / "state.db", isolation_level=None)
    record.execute("PRAGMA journal_mode=WAL")
    record.execute("PRAGMA synchronous=NORMAL")
    record.execute("CREATE TABLE tasks (name PRIMARY KEY, digest)")
    record.execute("CREATE TABLE cache (key PRIMARY KEY, digest)")
    digests: dict[int, str] = {}
    waiting, running = dict(tasks), {}
    while waiting or running:
        ready = [name for name, needs in waiting.items() if all(need in digests for need in needs)]
        for name in ready[: 2 - len(running)]:
            key = hashlib.sha256(repr((name, [digests[need] for need in waiting.pop(name)])).encode()).hexdigest()
            if record.execute("SELECT 1 FROM cache WHERE key=?", (key,)).fetchone():
                raise SystemExit("cached")
            pid = os.fork()
            if pid == 0:
                work(folder, name, tasks[name], large=shape == "data")
                os._exit(0)
            running[pid] = name, key
        pid, status = os.wait()
        name, key = running.pop(pid)
        if status:
            raise SystemExit(f"task {name} failed")
        part = folder / f"{name}.part"
        with part.open("rb") as stream:
            digests[name] = hashlib.file_digest(stream, "sha256").hexdigest()
        part.rename(folder / digests[name])
        record.execute("BEGIN")
        record.execute("INSERT INTO tasks VALUES (?, ?)", (name, digests[name]))
        record.execute("INSERT INTO cache VALUES (?, ?)", (key, digests[name]))
        record.execute("COMMIT")
        digests[name] = digests[name]


def work(folder: Path, name: int, needs: list[int], *, large: bool) -> None:
    """What a task does: takes what the one before made, and makes as much."""
    with (folder / f"{name}.part").open("wb") as made:
        if not large:
            made.write(str(name).encode())
        for need in needs if large else []:
            taken = max(folder.iterdir(), key=lambda file: (file.stat().st_size > 1 << 24, file.stat().st_mtime_ns))
            with taken.open("rb") as stream:
                while block := stream.read(1 << 20):
                    made.write(block)
            made.write(str(need).encode())
        if large and not needs:
            for _ in range(200):
                made.write(BLOCK)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
