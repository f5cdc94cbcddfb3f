"""A batch: every record of a file, or of many, gets its prediction; or nothing is written and it is said why."""

from __future__ import annotations

import mimetypes
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from orchestrator.errors import OrchestratorError
from orchestrator.serving.batch import layout, output, records
from orchestrator.serving.batch.output import Quarantine
from orchestrator.serving.batch.plan import Plan
from orchestrator.serving.batch.pool import Named, Pool
from orchestrator.serving.batch.records import Chunk, Source
from orchestrator.serving.batch.task import Rejected
from orchestrator.serving.batch.worker import Failed, Whole
from orchestrator.stores import objects, streams
from orchestrator.stores.streams import Found

SUFFIX = ".out"
QUARANTINE = ".quarantine.jsonl"
_GRANTED = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a batch so far: all of it, when it is the last that is said."""

    records: int = 0
    bad: int = 0
    files: int = 0
    # The share of the present file that is read; 0 where nobody knows.
    share: float = 0.0
    first: str = ""
    unread: frozenset[str] = frozenset()
    outputs: tuple[str, ...] = ()
    quarantine: str = ""


Said = Callable[[Done], None]


def run(
    model: Named, plan: Plan, *, source: str, target: str, quarantine: str = "", said: Said = lambda _: None
) -> Done:
    """Predict for what lies at `source` and write it to `target`; bad records to `quarantine`, if given there.

    A folder or a pattern is many files: each becomes `<name>.out` below `target`. Each output appears whole or not at
    all. Raises OrchestratorError.
    """
    found, several = streams.find(source)
    base = target.rstrip("/")
    pairs = (
        [(each, f"{base}/{each.name}{SUFFIX}") for each in found] if several else [(found[0], _one(target, found[0]))]
    )
    apart = quarantine or f"{base}{QUARANTINE}" if not target.endswith("/") else f"{base}/_{QUARANTINE[1:]}"
    output.check([each.uri for each, _ in pairs], [place for _, place in pairs], apart)
    count = plan.workers or _cores()
    batch = _Batch(plan, Done(quarantine=apart), said)
    with Pool(model, count, seconds=plan.seconds, retries=plan.retries) as pool, Quarantine(apart) as kept:
        for each, place in pairs:
            act = batch.file if plan.split == "line" else batch.whole
            act(pool, kept, each, place)
        if plan.split == "none":
            batch.check(batch.done.records, batch.done.bad)
    done = batch.done
    return replace(done, quarantine=apart if done.bad else "")


@dataclass(slots=True)
class _Batch:
    plan: Plan
    done: Done
    said: Said

    def file(self, pool: Pool, kept: Quarantine, found: Found, place: str) -> None:
        """Predict for the records of one file."""
        with streams.opened(found.uri) as (raw, size):
            stream = streams.unpacked(raw)
            source = _read(lambda: records.recognised(stream, found.name, self.plan), found)
            ready = pool.ready()
            task = layout.task(source, self.plan, ready, place)
            before = self.done
            self.done = replace(before, unread=before.unread | layout.unread(task, ready))
            with output.whole(place) as file:
                sink = layout.sink(task, file, place)
                for chunk, answered in pool.answers(task, _chunks(stream, source, self.plan, found)):
                    for body in answered.bodies:
                        sink.write(body)
                    kept.write(objects.shown(found.uri), answered.rejected)
                    self._count(chunk, answered.rejected, answered.unread, found)
                    self._tell(_share(raw, size))
                sink.close()
                self.check(self.done.records - before.records, self.done.bad - before.bad)
        self.done = replace(self.done, files=self.done.files + 1, outputs=(*self.done.outputs, place))

    def whole(self, pool: Pool, kept: Quarantine, found: Found, place: str) -> None:
        """Give one file to the model as one request."""
        with streams.opened(found.uri) as (stream, size):
            if size > self.plan.payload:
                answer: bytes | Failed = Failed(f"the file is larger than {self.plan.payload:,} bytes")
            else:
                kind = mimetypes.guess_type(found.name)[0] or "application/json"
                answer = pool.whole(Whole(stream.read(), kind))
        rejected: tuple[Rejected, ...] = ()
        if isinstance(answer, Failed):
            shown = objects.shown(found.uri)
            rejected = (Rejected(1, 0, answer.message, shown),)
            kept.write(shown, rejected)
        else:
            with output.whole(place) as file:
                file.write(answer)
            self.done = replace(self.done, files=self.done.files + 1, outputs=(*self.done.outputs, place))
        self._count(Chunk(1, rows=1), rejected, frozenset(), found)
        self._tell(1.0)

    def check(self, records: int, bad: int) -> None:
        """End the batch when so many of so many records are too many."""
        most = self.plan.threshold
        if not most.is_over(bad, records):
            return
        of = f" of {records:,}" if most.percent else ""
        are = "records are" if bad > 1 or of else "record is"
        message = f"{bad:,}{of} {are} bad, more than {most}; the first: {self.done.first}"
        hint = f"they are in {self.done.quarantine}: mend them, or allow more by the error threshold"
        raise OrchestratorError(message, hint=hint)

    def _count(self, chunk: Chunk, rejected: tuple[Rejected, ...], unread: frozenset[str], found: Found) -> None:
        done = self.done
        first = done.first or (_where(found, rejected[0]) if rejected else "")
        self.done = replace(
            done,
            records=done.records + len(chunk),
            bad=done.bad + len(rejected),
            first=first,
            unread=done.unread | unread,
        )
        # Of a number of records it is known at once that it is exceeded, of a share of them only at the end.
        if not self.plan.threshold.percent:
            self.check(self.done.records, self.done.bad)

    def _tell(self, share: float) -> None:
        self.done = replace(self.done, share=share)
        self.said(self.done)


def _one(target: str, found: Found) -> str:
    return f"{target}{found.name}{SUFFIX}" if target.endswith("/") else target


def _cores() -> int:
    """The cores this process may use, and no more than its container is granted."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _GRANTED.read_text().split()
        return max(1, min(cores, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # No control group, or one without a limit ("max").
        return cores


def _share(stream: IO[bytes], size: int) -> float:
    try:
        return min(1.0, stream.tell() / size) if size else 0.0
    except (OSError, ValueError):  # A stream of its own kind may not say where it is.
        return 0.0


def _where(found: Found, rejected: Rejected) -> str:
    place = f"{found.name}:{rejected.line}" if rejected.line else f"{found.name}, record {rejected.record:,}"
    return f"{place}: {rejected.reason}"


def _chunks(stream: IO[bytes], source: Source, plan: Plan, found: Found) -> Iterator[Chunk]:
    """The chunks of a file; what keeps it from being read is said of the file."""
    chunks = records.chunks(stream, source, plan)
    while (chunk := _read(lambda: next(chunks, None), found)) is not None:
        yield chunk


def _read(act: Callable[[], Any], found: Found) -> Any:
    try:
        return act()
    except (OSError, EOFError, zlib.error) as error:
        raise OrchestratorError(f"{found.name}: cannot be read: {error}") from error
