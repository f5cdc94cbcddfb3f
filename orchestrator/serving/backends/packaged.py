"""A model that came with its own program, as the server sees it: it takes bodies, and rows where its example does."""

from __future__ import annotations

import importlib
import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

from orchestrator.errors import OrchestratorError
from orchestrator.model import entry, package, requirements, rows
from orchestrator.model.manifest import Manifest, Package
from orchestrator.model.rows import Form
from orchestrator.model.signature import Array, Columns, Signature, columns_from_records
from orchestrator.serving import v1
from orchestrator.serving.backends import handlers, program, python
from orchestrator.serving.backends.code import Code
from orchestrator.serving.backends.program import Answer, Program, Request
from orchestrator.serving.codec import RequestError

_log = logging.getLogger(__name__)
# What a client sends that was not told what to say: nothing, and `curl -d` that it is a form. V1 is JSON.
_UNSAID = ("", "application/x-www-form-urlencoded")


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """A started program."""

    program: Program
    signature: Signature
    platform: str
    example: Sequence[Mapping[str, Any]]
    declared: bool
    form: Form | None
    # Why columns cannot be given to it, where they cannot.
    reason: str = ""
    code: Code | None = field(default=None, repr=False, compare=False)
    lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def respond(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """The program's own answer to a body; one of V1 is held to the signature that a person wrote."""
        if program.plain_type(content_type) in _UNSAID:
            content_type = rows.JSON
        if self.declared and program.plain_type(content_type) == rows.JSON and _has_instances(body):
            v1.decode(body, self.signature)
        answer = self._answer(Request(body, content_type, accept, {"content-type": content_type, "accept": accept}))
        return answer.body, answer.content_type

    def outputs(self, columns: Columns) -> dict[str, Array]:
        if self.reason:
            raise RequestError(f"{self.reason}: POST what it takes to /v1/models/NAME:predict")
        with self._alone(), program.answering():
            given = self.program.tensors(columns)
        if given is not None:
            return given
        assert self.form is not None  # noqa: S101  There is a reason otherwise.
        answer = self._answer(
            Request(rows.write(self.form, self.signature.inputs, columns), self.form.content_type, rows.JSON)
        )
        count = len(next(iter(columns.values()), ()))
        return rows.predictions(answer.body, answer.content_type, count)

    def _answer(self, request: Request) -> Answer:
        with self._alone(), program.answering():
            return self.program.respond(request)

    def _alone(self) -> AbstractContextManager[object]:
        """Few programs are made to be called twice at once; those that are say so."""
        return nullcontext() if self.program.is_safe else self.lock


def load(path: Path, digest: str) -> PackagedModel:
    """Start the program in a folder that has this digest, and have it answer its example. Raises OrchestratorError."""
    manifest, about = package.verified(path, digest)
    if unmet := requirements.unmet(about.requirements):
        message = f"the program needs what this environment does not have: {'; '.join(unmet)}"
        raise OrchestratorError(
            message, hint=f"install it where the server runs: beside {sys.executable}, or in its image"
        )
    root = path / package.PROGRAM
    file, name = entry.parse(about.entry)
    code = Code(list(dict.fromkeys([(root / file).parent, root])))
    with _failing(f"the program {about.entry} cannot be started", root), code.loading():
        module = importlib.import_module(Path(file).stem)
        if manifest.flavor == "handlers":
            started: Program = handlers.start(module, root)
        else:
            started = python.start(getattr(module, name, None), root, manifest.algorithm)
    return _tried(path, manifest, about, started, code)


def _tried(path: Path, manifest: Manifest, about: Package, started: Program, code: Code) -> PackagedModel:
    """The model, once it answered its example; whether it takes rows in columns is seen by giving it some."""
    body = (path / package.EXAMPLE).read_bytes()
    table = rows.read(body, about.content_type)
    model = PackagedModel(
        started,
        manifest.signature,
        manifest.flavor,
        manifest.example,
        about.declared,
        table.form if table else None,
        code=code,
    )
    with _failing("the model fails on its own example", path / package.PROGRAM):
        model.respond(body, about.content_type, program.ANY)
    if not (reason := _no_rows(model, table is not None)):
        return model
    _log.info("%s takes no tensors: %s", about.entry, reason)
    known = manifest.signature if about.declared else Signature(())
    return replace(model, signature=known, example=(), reason=reason)


def _no_rows(model: PackagedModel, has_rows: bool) -> str:
    """Why columns cannot be given to it; "" where they can."""
    if not has_rows or not model.example:
        return "the model takes bodies of its own, not rows"
    try:
        model.outputs(columns_from_records(model.signature, model.example))
    except Exception as error:  # noqa: BLE001  Whatever its program does: it answered in bytes.
        return f"the model does not take tensors ({error})"
    return ""


def _has_instances(body: bytes) -> bool:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and "instances" in document


@contextmanager
def _failing(what: str, root: Path) -> Iterator[None]:
    """What a program raises is told in a line, with the place in its code, and at length in the log."""
    try:
        yield
    except OrchestratorError as error:
        hint = error.hint or _place(error, root)
        raise OrchestratorError(f"{what}: {error.message}", hint=hint) from error
    except (Exception, SystemExit) as error:
        _log.error("%s", what, exc_info=error)
        said = (str(error).splitlines() or [""])[0]
        if isinstance(error, SystemExit):
            said = f"it called exit({'' if error.code is None else error.code})"
        told = f"{type(error).__name__}: {said}" if said else type(error).__name__
        raise OrchestratorError(f"{what}: {told}", hint=_place(error, root)) from error


def _place(error: BaseException, root: Path) -> str:
    """The line of the program's own code where an error, or what it was made from, was raised."""
    inside = [
        f"{Path(frame.filename).relative_to(root)}:{frame.lineno}: {frame.line}"
        for each in (error, error.__cause__)
        if each is not None
        for frame in traceback.extract_tb(each.__traceback__)
        if Path(frame.filename).is_relative_to(root)
    ]
    return f"at {inside[-1]}" if inside else ""
