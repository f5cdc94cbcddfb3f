"""Put a declaration into service, prove it by real requests, and put back what was there before when that fails."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.deploy.shifting import Shifting
from orchestrator.errors import OrchestratorError, RunError
from orchestrator.model import manifest
from orchestrator.serving import declarations, local
from orchestrator.serving.backends import check
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.local import Answer
from orchestrator.serving.rollout import mixture, undo
from orchestrator.serving.rollout.control import Control, Stage, Traffic
from orchestrator.serving.rollout.plan import Plan

_RESTORE_SECONDS = 15.0

Say = Callable[[str], None]
Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Deployed:
    """What is served now, the answer that proved it, and the shares of the traffic it had on its way."""

    declaration: Declaration
    answer: Answer
    stages: tuple[Stage, ...] = ()


def silent(*_: object) -> None:
    """Nothing is said."""


def deploy(declaration: Declaration, state: Path, *, say: Say = silent, progress: Progress = silent) -> Deployed:
    """Serve the declaration from the model server of `state`. Raises RunError with what was put back."""
    name = declaration.name
    _try_programs(declaration, say)

    def waiting() -> None:
        say(f"waiting: another deployment to endpoint {name!r} is under way")

    with undo.deploying(state, name, waiting):
        previous = undo.previous(state, name)
        # Should this process be killed, the server and the next deployment still know what had proved itself.
        undo.keep(state, name, previous)
        shifting = Shifting(state, previous, declaration, prove, say)
        try:
            stages = roll_out(shifting, plan_of(previous, declaration, say), declaration, say, progress)
            found = {"url": f"{shifting.url}/v1/models/{name}"}
            answer = local.send_example(declaration, shifting.url, variant=declaration.main.name)
        except OrchestratorError as error:
            message = f"not deployed to endpoint {name!r}: {error.message}; {_undone(state, previous, shifting)}"
            raise RunError(message, hint=error.hint) from error
        except BaseException:  # Cancelled: an endpoint that nothing has proved must not stay.
            _undone(state, previous, shifting)
            raise
        undo.forget(state, name)
        return Deployed(declaration.model_copy(update=found), answer, stages)


def _try_programs(declaration: Declaration, say: Say) -> None:
    """Start what came with a program of its own in a process apart, before the server is told of it."""
    for path, variant in {variant.path: variant for variant in declaration.variants}.items():
        if manifest.read(Path(path)).package is not None:
            label = f"{variant.model} version {variant.version}"
            try:
                tried = check.run(Path(path))
            except OrchestratorError as error:
                message = f"not deployed, and nothing was changed: {label}: {error.message}"
                raise RunError(message, hint=error.hint) from error
            say(f"{label} answered its example in a process of its own, {tried.seconds:.1f} s after its start")


def plan_of(previous: Declaration | None, declaration: Declaration, say: Say) -> Plan:
    """The plan of the file; all at once where no new version stands beside an old one."""
    plan = Plan.of(declaration.spec.rollout)
    if mixture.new_variants(previous, declaration) and previous is not None:
        return plan
    if plan.alarms:
        why = "the same versions are served already" if previous else "nothing was served before"
        say(f"{f'no {plan.strategy}' if plan.is_by_shares else 'no alarm is watched'}: {why}")
    return Plan()


def roll_out(traffic: Traffic, plan: Plan, declaration: Declaration, say: Say, progress: Progress) -> tuple[Stage, ...]:
    """Move the traffic as planned. Raises OrchestratorError for the first thing that speaks against it."""
    versions = "|".join(dict.fromkeys(each.version for each in declaration.variants if each.weight))
    control = Control(plan, traffic, declaration.name, say, progress, versions=versions)
    control.quiet()
    if plan.is_by_shares:  # What cannot answer its own example is not shown to anybody.
        traffic.shift(0)
    return control.run()


def prove(declaration: Declaration, url: str, names: Collection[str]) -> None:
    """Ask these variants for their example, and judge what they answer. Raises OrchestratorError."""
    for variant in declaration.variants:
        if variant.name in names:
            answer = local.send_example(declaration, url, variant=variant.name)
            judge(answer, Path(variant.path))


def judge(answer: Answer, folder: Path) -> None:
    """Refuse an answer that the model in `folder` cannot mean; a program of its own may answer as it likes."""
    about = manifest.read(folder)
    if about.package is None:
        complain(answer.response, about.classes)


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


def _undone(state: Path, previous: Declaration | None, shifting: Shifting) -> str:
    """What is served now that the deployment is given up. What was before is forgotten only when it is back."""
    try:
        served = _restore(state, previous, shifting)
    except OrchestratorError as error:
        later = "the model server, or the next deployment, does that"
        return f"what was there before could not be put back ({error.message}); {later}"
    undo.forget(state, shifting.after.name)
    return served


def _restore(state: Path, previous: Declaration | None, shifting: Shifting) -> str:
    """Put the previous declaration back, or none; says which."""
    if shifting.is_changed:
        return "it is left as it is"
    if previous is None:
        declarations.remove(state, shifting.after.name)
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
