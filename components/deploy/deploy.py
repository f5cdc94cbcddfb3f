"""Put a declaration into service, prove it by real requests, and put back what was there before when that fails."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import OrchestratorError, RunError
from orchestrator.model import manifest
from orchestrator.serving import declarations, local
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.local import Answer

_RESTORE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Deployed:
    """What is served now, and the answer that proved it."""

    declaration: Declaration
    answer: Answer


def _silent(text: str) -> None:
    """Nothing is said."""


def deploy(declaration: Declaration, state: Path, *, say: Callable[[str], None] = _silent) -> Deployed:
    """Serve the declaration from the model server of `state`. Raises RunError with what was put back."""
    name = declaration.name
    with declarations.locked(declarations.folder(state) / f".{name}.deploying"):
        before = declarations.folder(state) / f".{name}.before"
        previous = _previous(state, name, before)
        # Should this process be killed, the next deployment still knows what had proved itself.
        declarations.write_whole(before, declarations.dump(previous) if previous else "")
        try:
            local.declare(state, declaration)
            server = local.ensure(state)
            say(f"the model server is {server.url} (process {server.pid})")
            local.wait_ready(server.url, declaration)
            for variant in declaration.variants:
                answer = local.send_example(declaration, server.url, variant=variant.name)
                complain(answer.response, manifest.read(Path(variant.path)).classes)
            return Deployed(declaration.model_copy(update={"url": local.address(server, name)}), answer)
        except OrchestratorError as error:
            restored = _restore(state, name, previous)
            message = f"not deployed to endpoint {name!r}: {error.message}; {restored}"
            raise RunError(message, hint=error.hint) from error
        except BaseException:  # Cancelled: an endpoint that nothing has proved must not stay.
            _restore(state, name, previous)
            raise
        finally:
            before.unlink(missing_ok=True)


def complain(response: Any, classes: tuple[Any, ...] | None) -> None:
    """Refuse an answer that is not one prediction of a known class, or one finite number."""
    predictions = response.get("predictions") if isinstance(response, dict) else None
    if not isinstance(predictions, list) or len(predictions) != 1:
        raise OrchestratorError(f"the endpoint answered its example with {_short(response)}, not with one prediction")
    (value,) = predictions
    if classes is not None:
        if value not in classes:
            raise OrchestratorError(f"the endpoint predicts {value!r}, which is none of the model's classes")
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise OrchestratorError(f"the endpoint predicts {value!r}, which is not a finite number")


def _previous(state: Path, name: str, before: Path) -> Declaration | None:
    """What is declared, unless it comes from a deployment that was killed: then what was declared before that one."""
    try:
        declared = declarations.read(state, name)
        if declared is None or not before.exists():
            return declared
        kept = before.read_text(encoding="utf-8")
        return declarations.load(kept) if kept else None
    except OrchestratorError:  # A damaged declaration serves nobody; it is as good as none.
        return None


def _restore(state: Path, name: str, previous: Declaration | None) -> str:
    """Put the previous declaration back, or none; says which."""
    if previous is None:
        declarations.remove(state, name)
        return "nothing is served under that name"
    local.declare(state, previous)
    server = local.find(state)
    if server is not None:
        with contextlib.suppress(OrchestratorError):
            local.wait_ready(server.url, previous, _RESTORE_SECONDS)
    served = ", ".join(f"{variant.model} version {variant.version}" for variant in previous.variants)
    return f"{served} is served as before"


def _short(response: Any) -> str:
    text = repr(response)
    return text if len(text) <= 200 else text[:197] + "..."
