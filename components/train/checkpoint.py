"""What a training has come to so far, kept in the folder ORC_CHECKPOINTS names, so that one that is stopped goes on.

A checkpoint is called by what the training works on: other rows, another seed or hyperparameter are another training.
It is loaded as a model is, and so is to be trusted as a program is: the folder belongs to the task alone.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator import digest

VARIABLE = "ORC_CHECKPOINTS"
_STATE = "state.json"


class Checkpoint:
    """The checkpoint of one training; without a folder nothing is kept."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        warn: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.before = 0
        """How much was done when this attempt began."""
        self._unit = ""
        self._warn = warn
        self._clock = clock
        self._began = clock()
        self._spent = 0.0
        self._next = self._began

    def begin(self, load: Callable[[Path], Any], unit: str) -> tuple[Any, int]:
        """What was kept, and how many units were done then; None and 0 for a training that begins."""
        self._unit = unit
        if self.folder is None or not (self.folder / _STATE).is_file():
            return None, 0
        try:
            state = json.loads((self.folder / _STATE).read_text(encoding="utf-8"))
            loaded = load(self.folder / state["file"])
            self.before, self._spent = int(state["done"]), float(state["seconds"])
        except Exception as error:  # noqa: BLE001  Whatever a broken file makes a library raise: the training begins anew.
            self._warn(f"the checkpoint cannot be used, and the training begins anew: {type(error).__name__}: {error}")
            return None, 0
        return loaded, self.before

    def keep(self, done: int, save: Callable[[Path], None], suffix: str) -> None:
        """Keep what has been done: whoever is stopped in between leaves the checkpoint before."""
        began = self._clock()
        if self.folder is None or began < self._next:
            return
        name = f"{done}-{os.getpid()}{suffix}"
        state = {"file": name, "done": done, "seconds": self.seconds}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save(self.folder / name)
            beside = self.folder / f".{_STATE}-{os.getpid()}"
            beside.write_text(json.dumps(state), encoding="utf-8")
            beside.replace(self.folder / _STATE)
            for other in self.folder.glob(f"*{suffix}"):
                if other.name != name:
                    other.unlink(missing_ok=True)
            # No more than a tenth of the time goes into what is only there in case of a stop.
            self._next = self._clock() + 9 * (self._clock() - began)
        except OSError as error:
            self._warn(f"no checkpoint can be kept in {self.folder}: {error.strerror or error}")
            self.folder = None

    def clear(self) -> None:
        """Remove the checkpoint of a training that has come to its end."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def seconds(self) -> float:
        """The time spent on this training, that of earlier attempts included."""
        return self._spent + self._clock() - self._began

    def told(self) -> str:
        """What this attempt was spared, and the savings in time by it; "" when it did all of the work."""
        if not self.before:
            return ""
        billable = self._clock() - self._began
        savings = (1 - billable / self.seconds) * 100 if self.seconds else 0.0
        spared = f"{savings:.0f} % of {self.seconds:.1f} s saved"
        return f"went on after {self.before} {self._unit} of an earlier attempt: {spared}"


NONE = Checkpoint()


def find(environment: Mapping[str, str], work: Mapping[str, Any], warn: Callable[[str], None]) -> Checkpoint:
    """The checkpoint of the training of `work`, plain data that tells all it comes from."""
    root = environment.get(VARIABLE, "")
    text = json.dumps(work, sort_keys=True, default=str)
    return Checkpoint(Path(root) / digest.of_text(text)[:32] if root else None, warn=warn)
