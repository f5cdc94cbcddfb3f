"""Explanations over V1: what each column added to each prediction, compared with a baseline."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from orchestrator.errors import OrchestratorError
from orchestrator.model.signature import Array, Columns, InputError, Signature
from orchestrator.serving import codec, reply, v1
from orchestrator.serving.codec import Content, RequestError
from orchestrator.serving.hosted import Model, Variant
from orchestrator.serving.metrics import Timings
from orchestrator.serving.reply import Answered, Call

PROTOCOL = "explain"
# Rows times rows of the baseline: each pair is many calls of the model.
MOST_PAIRS = 2000


class _Request(msgspec.Struct):
    baseline: list[Any] | None = None


_DECODER = msgspec.json.Decoder(_Request)


@dataclass(frozen=True, slots=True)
class _Timed:
    """A model that is not asked any more when nobody waits for the answer."""

    model: Model
    deadline: float
    classes: tuple[Any, ...] | None

    @property
    def signature(self) -> Signature:
        return self.model.signature

    @property
    def example(self) -> Sequence[Mapping[str, Any]]:
        return self.model.example

    def outputs(self, columns: Columns) -> dict[str, Array]:
        if time.monotonic() > self.deadline:
            raise RequestError("the explanation took too long", status=504)
        return self.model.outputs(columns)


def whole(call: Call, body: bytes, variant: Variant, timings: Timings, seconds: float) -> Answered:
    """The answer, which nobody waits for after so many seconds. Raises RequestError."""
    from orchestrator.model import shapley

    began = time.monotonic()
    try:
        rows, baseline = _asked(call, body, variant)
        model = _Timed(variant.model, began + seconds, getattr(variant.model, "classes", None))
        predictions = next(iter(model.outputs(rows).values())).tolist()
        found = shapley.explain(model, rows, baseline)
    except RequestError:
        raise
    except OrchestratorError as error:
        raise RequestError(error.message) from None
    except Exception as error:  # Whatever a model does; the server goes on.
        raise reply.refused(call, variant, error) from error
    finally:
        timings.explain.observe(time.monotonic() - began)
    content = codec.write({"predictions": predictions, "explanations": found.records(), "exact": found.exact})
    return Answered(Content(content), reply.JSON, None)


def _asked(call: Call, body: bytes, variant: Variant) -> tuple[Columns, Columns | None]:
    """The rows to explain, and those they are compared with if the client gave any."""
    signature = variant.model.signature
    if not signature.inputs:
        raise RequestError(f"model {call.endpoint!r} takes bodies of its own: there are no columns to explain")
    rows, count = v1.decode(body, signature)
    given = codec.read(_DECODER, body).baseline
    baseline: Columns | None = None
    background = len(variant.model.example)
    if given is not None:
        try:
            baseline, background = v1.decode(codec.write({"instances": given}), signature)
        except (RequestError, InputError) as error:
            raise RequestError(f"baseline: {error.message.replace('instances', 'it')}") from None
    if count * max(background, 1) > MOST_PAIRS:
        message = f"{count:,} rows against {background:,} of the baseline are too many for one request"
        raise RequestError(f"{message}: {MOST_PAIRS:,} pairs at most")
    return rows, baseline
