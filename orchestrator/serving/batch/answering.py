"""A chunk of records answered: read, filtered, predicted, joined, filtered again and written as the output holds it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.model import signature as signatures
from orchestrator.model.signature import InputError
from orchestrator.serving.batch import isolation, reading, values, writing
from orchestrator.serving.batch.isolation import Bad
from orchestrator.serving.batch.records import Chunk
from orchestrator.serving.batch.task import Answered, Record, Rejected, Task
from orchestrator.serving.hosted import Model


def answer(model: Model, task: Task, chunk: Chunk) -> Answered:
    """The chunk's predictions, in order; a bad record keeps its place."""
    read = reading.read(task, chunk, _types(model))
    good = [each.given for each in read if not isinstance(each.given, Bad)]
    unread = _unread(good, model) if task.source.format == "jsonl" else frozenset[str]()
    predicted = iter(isolation.each(lambda some: _predicted(model, task, some), good, task.plan.retries))
    found = [each.given if isinstance(each.given, Bad) else next(predicted) for each in read]
    return finished(task, chunk, read, found, unread)


def refused(task: Task, chunk: Chunk, reason: str) -> Answered:
    """A chunk of which no record has a prediction, for one reason."""
    read = reading.read(task, chunk, {})
    return finished(task, chunk, read, [Bad(reason)] * len(read))


def finished(
    task: Task, chunk: Chunk, read: Sequence[Record], found: Sequence[Any], unread: frozenset[str] = frozenset()
) -> Answered:
    """The records with their predictions, as the output holds them."""
    rejected = tuple(
        Rejected(chunk.first + at, record.line, one.reason, record.text)
        for at, (record, one) in enumerate(zip(read, found, strict=True))
        if isinstance(one, Bad)
    )
    return Answered((writing.write(task, chunk, read, found),), rejected, unread)


def respond(model: Model, body: bytes, kind: str) -> bytes:
    """The answer to a file that is one request. Raises InputError, OrchestratorError."""
    own = getattr(model, "respond", None)
    if own is not None:
        answered: tuple[bytes, str] = own(body, kind, "application/json")
        return answered[0]
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the file is not JSON: {error}", hint='it holds {"instances": [...]}') from error
    instances = document.get("instances") if isinstance(document, dict) else document
    if not isinstance(instances, list) or not instances:
        raise InputError("the file has no list of instances", hint='it holds {"instances": [...]}, or the list alone')
    predictions = _predicted(model, None, instances)
    return json.dumps({"predictions": list(predictions)}, ensure_ascii=False).encode(errors="backslashreplace")


def _predicted(model: Model, task: Task | None, given: Sequence[Any]) -> Sequence[Any]:
    if _is_of_bodies(model):
        return [_body(model, task, each) for each in given]
    kinds = set(map(type, given))
    if kinds == {dict}:
        known = {column.name for column in model.signature.inputs}
        columns = signatures.columns_from_records(
            model.signature, [{name: each[name] for name in each if name in known} for each in given]
        )
    elif kinds == {list}:
        columns = signatures.columns_from_rows(model.signature, given)
    elif len(kinds) > 1:
        raise InputError("records and lists stand in turn")
    else:
        raise InputError("the record is neither an object nor a list of values")
    outputs = model.outputs(columns)
    return values.records(outputs, getattr(model, "classes", None), len(given))


def _is_of_bodies(model: Model) -> bool:
    """Whether a model takes bodies of its own and no rows: each record is then a body."""
    return not model.example and getattr(model, "respond", None) is not None


def _body(model: Any, task: Task | None, given: Any) -> Any:
    is_csv = task is not None and task.source.format == "csv"
    # Half of a pair of surrogates is escaped, as it was in the record.
    text = "" if is_csv else json.dumps(given, ensure_ascii=False)
    body = writing.line(list(given.values()), ",") if is_csv else text.encode(errors="backslashreplace")
    answered, _ = model.respond(body, "text/csv" if is_csv else "application/json", "application/json")
    try:
        return json.loads(answered)
    except (ValueError, RecursionError):
        return answered.decode("utf-8", "replace")


def _unread(given: Iterable[Any], model: Model) -> frozenset[str]:
    if _is_of_bodies(model):
        return frozenset()
    known = {column.name for column in model.signature.inputs} | set(model.signature.ignored)
    return frozenset(name for each in given if isinstance(each, dict) for name in each if name not in known)


def _types(model: Model) -> dict[str, str]:
    return {column.name: column.type for column in model.signature.inputs}
