"""What a container came to: its exit code, and the reason where code and log do not tell it. Pure."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.runners.local.containers.engine import last
from orchestrator.runners.local.containers.limits import Limits

ENGINE_ERROR = 125
_SIGNALLED = 128
_PROGRAM = re.compile(r'exec: \\?"(?P<program>.+?)\\?": (?P<why>[^:"]+)|executable file `(?P<missing>[^`]+)` not found')
_FIRST = re.compile(
    r"\[FATAL tini \(\d+\)\] exec (?P<program>.+) failed: (?P<why>.+)"
    r"|ERROR \(catatonit:\d+\): failed to exec pid1: (?P<cause>.+)"
)
"""What the first process of a container says when it cannot start the program."""
_NOISE = ("see 'docker", "run 'docker", "see 'podman", "docker run --help")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a container ended."""

    code: int
    """Negative for a signal, as of a process."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of the engine."""

    engine: str
    image: str
    program: str
    """What the component gives as command; "" for the image's own."""
    limits: Limits
    present: bool = True
    """Whether the image is on this machine."""
    answers: bool = True
    """Whether the engine still answers."""


def of(asked: Asked, state: Mapping[str, Any] | None, client: int, tail: Sequence[str]) -> Verdict:
    """What a container came to, by what its engine says of it; `client` and `tail` are the engine's program and log."""
    if state is None:
        # No such container: the engine never made it, and its program has said why.
        return Verdict(client or ENGINE_ERROR, _refused(asked, _complaint(tail)) if client >= 0 else "")
    code = int(state.get("ExitCode") or 0)
    if state.get("Running"):
        return Verdict(
            ENGINE_ERROR, f"{asked.engine} lost it while it ran: {_complaint(tail) or f'exit code {client}'}"
        )
    if str(state.get("Status")).lower() in ("created", "configured", "initialized"):
        said = str(state.get("Error") or "") or _complaint(tail)
        # The engine's program may have been stopped before it could start what it had made.
        return Verdict(code or client or ENGINE_ERROR, _unstarted(asked, said) if client >= 0 else "")
    if code and state.get("OOMKilled"):
        limit = f" (limit {asked.limits.memory})" if asked.limits.memory else ""
        return Verdict(-signal.SIGKILL, f"out of memory{limit}")
    if code and (match := next(filter(None, map(_FIRST.match, reversed(tail))), None)):
        return Verdict(code, _cannot(asked, match["program"] or asked.program, match["why"] or match["cause"]))
    if code == _SIGNALLED + signal.SIGKILL and asked.limits.memory:
        # Not every engine sees it: that of control groups of the first version does not under Podman.
        return Verdict(-signal.SIGKILL, f"killed by SIGKILL, perhaps for its memory limit of {asked.limits.memory}")
    # The first process passes on the end of its child as shells do: 137 is SIGKILL.
    return Verdict(_SIGNALLED - code if _is_signal(code) else code)


def _is_signal(code: int) -> bool:
    return code - _SIGNALLED in {each.value for each in signal.Signals}


def _refused(asked: Asked, said: str) -> str:
    if not asked.answers:
        return f"{asked.engine} does not answer any more: {said}"
    if not asked.present:
        return f"the image {asked.image!r} is not on this machine and could not be pulled: {said}"
    return _unstarted(asked, said)


def _unstarted(asked: Asked, said: str) -> str:
    match = _PROGRAM.search(said)
    if match:
        return _cannot(asked, match["program"] or match["missing"], match["why"] or "not found")
    if "gpu" in said.lower() or "nvidia" in said.lower():
        return f"{asked.engine} has no GPU to give it: {said}; the NVIDIA Container Toolkit makes one known"
    if said.lower().startswith(("no command specified", "no command or entrypoint")):
        return f"neither the component nor the image {asked.image!r} gives a command"
    return f"{asked.engine} did not start it: {said or 'it did not say why'}"


def _cannot(asked: Asked, program: str, why: str) -> str:
    what = f"the program {program!r} of the image" if program else "the program of the image"
    return f"{what} {asked.image!r} cannot be started: {why.strip()}"


def _complaint(tail: Sequence[str]) -> str:
    """The last thing the engine's program said, without its name."""
    said = [line for line in tail if line.strip() and not line.strip().lower().startswith(_NOISE)]
    return last(said[-1].removeprefix("docker: ").removeprefix("Error response from daemon: ")) if said else ""
