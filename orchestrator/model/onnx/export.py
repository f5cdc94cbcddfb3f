"""From a model folder to the folder of its ONNX form, through the parity gate; what does not pass leaves no folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator import digest as digests
from orchestrator.errors import NotFoundError, OrchestratorError
from orchestrator.model import folder
from orchestrator.model.onnx import convert, form, gate, rows
from orchestrator.model.onnx.gate import Gate
from orchestrator.model.signature import Columns


@dataclass(frozen=True, slots=True)
class Wanted:
    """How precise the graph is, how much of the data is compared, and what may differ."""

    precision: str = "float64"
    max_differing: int = 0
    max_difference: float = gate.MAX_DIFFERENCE
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of it: the digest of the model, the gate, and the form's digest, "" when it did not pass."""

    of: str
    gate: Gate
    digest: str = ""
    # What is done to which column before the graph, because ONNX has no words for it.
    outside: tuple[str, ...] = ()
    has_labels: bool = True


def export(model: Path, data: Path, to: Path, wanted: Wanted = Wanted(), *, digest: str | None = None) -> Exported:
    """Write the ONNX form of the model in `model` to `to` when it answers as the model does for the rows in `data`.

    Raises OrchestratorError for what ONNX cannot express, and for data that the model does not take.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise OrchestratorError(f"{to} is there already", hint="give a folder that is new or empty")
    if not data.is_file():
        raise NotFoundError("data file", str(data))
    loaded = folder.load(model, digest)
    converted = convert.convert(loaded, precision=wanted.precision)
    of = folder.digest(model)
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}.") as made:
        place = Path(made) / "form"
        # Compared by the very code that answers later: the folder is written, loaded, and written again with the gate.
        form.save(place, loaded, converted.content, form.Form(of, converted.wiring, Gate(0, 0, 0.0)))
        answering = form.load(place)
        parts = rows.read(data, loaded.manifest.signature.inputs, limit=wanted.rows)
        pairs = ((loaded.predict(part), answering.predict(part)) for part in _alone_too(parts))
        found = gate.compare(
            pairs,
            data=digests.of_file(data),
            max_differing=wanted.max_differing,
            max_difference=wanted.max_difference,
        )
        if not found.rows:
            raise OrchestratorError(
                f"{data} has no rows to compare with", hint="give rows the model was not trained on"
            )
        outside = tuple(f"{one.column}: {type(one).__name__.lower()}" for one in converted.wiring.before)
        has_labels = loaded.manifest.problem != "regression"
        if not found.passed:
            return Exported(of, found, "", outside, has_labels)
        form.save(place, loaded, converted.content, form.Form(of, converted.wiring, found))
        if to.exists():
            to.rmdir()
        shutil.move(place, to)
    return Exported(of, found, folder.digest(to), outside, has_labels)


def _alone_too(parts: Iterable[Columns]) -> Iterator[Columns]:
    """The parts as they come; of the first also its first row alone, since a single row may take another way."""
    for number, part in enumerate(parts):
        if number == 0:
            yield {name: values[:1] for name, values in part.items()}
            yield {name: values[1:] for name, values in part.items()}
        else:
            yield part
