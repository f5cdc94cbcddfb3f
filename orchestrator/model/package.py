"""A model that comes with a program of its own, as a folder like any other model's: whole, with digests, unrun.

Below `program` lies what its maker gave, untouched; beside it a request that it answers, and the manifest.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from orchestrator import digest as digests
from orchestrator.errors import NotFoundError, OrchestratorError
from orchestrator.model import archive, entry, requirements, rows
from orchestrator.model import manifest as manifests
from orchestrator.model.entry import Entry
from orchestrator.model.manifest import Manifest, Package
from orchestrator.model.rows import Table
from orchestrator.model.signature import TYPES, Column, Signature

PROGRAM = "program"
EXAMPLE = "example"
FLAVORS = ("python", "handlers")
TYPES_OF: Mapping[str, str] = {
    ".json": rows.JSON,
    ".csv": rows.CSV,
    ".jsonl": "application/jsonlines",
    ".txt": "text/plain",
    ".npy": "application/x-npy",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".parquet": "application/x-parquet",
}
# A request beyond this is no example; it is carried in the manifest's folder and sent at every start.
_LARGEST_EXAMPLE = 16 * 1024**2
_HINT = "give one: --example FILE, a request as a client would send it (.json, .csv, or with --content-type any other)"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is said of a program beside the program itself; what is not said is found in it."""

    source: Path
    entry: str = ""
    example: Path | None = None
    content_type: str = ""
    signature: Path | None = None


def make(wanted: Wanted, folder: Path) -> Manifest:
    """Write the model folder of a program: a folder, or a tar of one. Raises OrchestratorError; runs nothing of it."""
    program = folder / PROGRAM
    _gathered(wanted.source, program)
    found = entry.find(program, wanted.entry)
    needs = _requirements(program, found)
    body, content_type = _example(wanted, program)
    (folder / EXAMPLE).write_bytes(body)
    table = rows.read(body, content_type)
    declared = read_signature(wanted.signature) if wanted.signature else None
    manifest = Manifest(
        flavor=found.flavor,
        algorithm=found.name or Path(found.file).stem,
        problem="other",
        signature=declared or Signature(table.columns if table else ()),
        example=_records(table, declared),
        versions={"python": platform.python_version(), **requirements.versions(needs)},
        files={name: digests.of_file(folder / name) for name in _files(folder)},
        package=Package(str(found), needs, content_type, declared is not None),
    )
    (folder / manifests.NAME).write_text(manifests.dump(manifest), encoding="utf-8")
    return manifest


def verified(folder: Path, digest: str | None = None) -> tuple[Manifest, Package]:
    """The manifest of a package whose files are all there, and are those it names. Raises OrchestratorError."""
    manifest = manifests.read(folder)
    if manifest.package is None:
        raise OrchestratorError(f"{folder / manifests.NAME} says nothing of the program it should have")
    if digest is not None and (found := digests.of(folder)) != digest:
        hint = "the folder was changed after it was published; a program must not write into its own folder"
        raise OrchestratorError(f"the model {folder} has digest {found}, expected {digest}", hint=hint)
    changed = [name for name, known in manifest.files.items() if _digest(folder / name) != known]
    extra = sorted(_files(folder) - set(manifest.files) - {manifests.NAME})
    if changed or extra:
        said = f"{changed[0]} does not have its digest" if changed else f"it has a file {extra[0]} too many"
        raise OrchestratorError(f"the model {folder} is not intact: {said}", hint="import it again")
    return manifest, manifest.package


def read_signature(file: Path) -> Signature:
    """A signature that a person wrote: `inputs`, and perhaps `outputs`, as lists of columns with name and type."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise OrchestratorError(f"the signature {file} cannot be read: {error}") from error
    told = document.get("signature", document) if isinstance(document, dict) else None
    if not isinstance(told, dict) or not isinstance(told.get("inputs"), list) or not told["inputs"]:
        hint = '{"inputs": [{"name": "mass", "type": "number"}]}'
        raise OrchestratorError(f"{file} is no signature: it has no list `inputs`", hint=hint)
    outputs, ignored = told.get("outputs") or [], told.get("ignored") or []
    if not isinstance(outputs, list) or not isinstance(ignored, list):
        hint = '{"inputs": [...], "outputs": [{"name": "kind", "type": "string"}], "ignored": ["note"]}'
        raise OrchestratorError(f"{file} is no signature: outputs and ignored are lists", hint=hint)
    return Signature(
        tuple(_column(file, each) for each in told["inputs"]),
        tuple(_column(file, each) for each in outputs),
        tuple(map(str, ignored)),
    )


def _column(file: Path, told: Any) -> Column:
    match told:
        case {"name": str(name), "type": str(kind)} if name and kind in TYPES:
            categories = told.get("categories")
            listed = tuple(map(str, categories)) if isinstance(categories, list) else None
            return Column(name, kind, bool(told.get("nullable", False)), listed)  # type: ignore[arg-type]
    hint = f"a type is one of: {', '.join(TYPES)}"
    raise OrchestratorError(f"{file}: {json.dumps(told)[:80]} is no column: it has name and type", hint=hint)


def _gathered(source: Path, program: Path) -> None:
    if source.is_dir():
        _copied(source, program)
    elif source.is_file():
        archive.unpack(source, program)
    else:
        raise NotFoundError("file or folder", str(source), hint="a folder with the model's code, or a tar.gz of one")
    if not program.is_dir() or not digests.files(program):
        raise OrchestratorError(f"{source} has no files")


def _copied(source: Path, program: Path) -> None:
    """A copy of a folder, without what is hidden; a link is copied as what it names, which must lie in it too."""
    root = source.resolve()
    left = archive.LARGEST
    for path in digests.files(source):
        name = path.relative_to(source)
        if archive.is_litter(PurePosixPath(name.as_posix())):
            continue
        if not path.resolve().is_relative_to(root) or not path.is_file():
            raise OrchestratorError(f"{path} leads outside of {source}", hint="copy the file to where it is used")
        left -= path.stat().st_size
        if left < 0:
            raise OrchestratorError(f"{source} has more than {archive.LARGEST:,} bytes")
        target = program / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _requirements(program: Path, found: Entry) -> tuple[str, ...]:
    """What lies beside the entry's file, as SageMaker has it, or at the top."""
    for folder in dict.fromkeys(((program / found.file).parent, program)):
        if (folder / requirements.NAME).is_file():
            return requirements.read(folder / requirements.NAME)
    return ()


def _example(wanted: Wanted, program: Path) -> tuple[bytes, str]:
    file = wanted.example or next(
        (path for suffix in TYPES_OF if (path := program / f"{EXAMPLE}{suffix}").is_file()), None
    )
    if file is None:
        raise OrchestratorError("there is no request to try the program with", hint=_HINT)
    kind = wanted.content_type or TYPES_OF.get(file.suffix.lower(), "")
    if not kind:
        raise OrchestratorError(f"what content type is {file.name}?", hint="say it: --content-type TYPE")
    try:
        if file.stat().st_size > _LARGEST_EXAMPLE:
            raise OrchestratorError(f"the example {file} is larger than {_LARGEST_EXAMPLE:,} bytes")
        return file.read_bytes(), kind
    except OSError as error:
        raise OrchestratorError(f"the example {file} cannot be read: {error.strerror}") from error


def _records(table: Table | None, declared: Signature | None) -> tuple[Mapping[str, Any], ...]:
    """The rows of the example under the names of the signature."""
    if table is None:
        return ()
    names = tuple(column.name for column in declared.inputs) if declared else table.names
    if table.form.records or table.form.header:
        return table.records
    if len(names) != len(table.names):
        raise OrchestratorError(
            f"the example has {len(table.names)} values per row, and the signature {len(names)} inputs"
        )
    return tuple(dict(zip(names, row, strict=True)) for row in table.rows)


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in digests.files(folder)}


def _digest(file: Path) -> str:
    return digests.of_file(file) if file.is_file() else ""
