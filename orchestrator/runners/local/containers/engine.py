"""The container engine of this machine, Docker or Podman, as its command line answers."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import BackendError

DOCKER, PODMAN = "docker", "podman"
RUN, TASK, STATE, RUNNER = "orc.run", "orc.task", "orc.state", "orc.runner"
"""Labels of every container: by them what a killed runner left is found."""

_SECONDS = 60.0  # An engine that has not answered by then does not answer.
_INIT = ("/usr/libexec/podman/catatonit", "/usr/lib/podman/catatonit")


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answered, and what decides how it is spoken to."""

    kind: str
    """`docker` or `podman`, whatever its program is called."""
    program: str
    rootless: bool = False
    cpus: int = 0
    """The CPUs it has; 0 when it does not say."""
    memory: int = 0
    """The bytes of memory it has; 0 when it does not say."""
    init: bool = True
    """Whether it can start a first process that passes signals on and reaps."""

    @property
    def remove(self) -> tuple[str, ...]:
        """The command that ends containers at once and removes them, with the volumes nobody named."""
        # Podman would first ask them to end, for ten seconds.
        return ("rm", "--force", "--volumes", *(("--time", "0") if self.kind == PODMAN else ()))

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What a command of the engine came to; one that does not answer in time has failed."""
        return _call(self.program, *arguments)

    def state(self, name: str) -> Mapping[str, Any] | None:
        """The state of a container; None when there is no such container, or no answer."""
        answer = self.call("inspect", "--type", "container", "--format", "{{json .State}}", name)
        return _object(answer.stdout) if answer.returncode == 0 else None

    def image(self, name: str) -> str:
        """The digest of an image that is on this machine; "" for one that is not."""
        answer = self.call("image", "inspect", "--format", "{{.Id}}", name)
        return answer.stdout.strip() if answer.returncode == 0 else ""

    def sweep(self, run: str, state: Path) -> int:
        """End and remove every container of a run of this state folder. Returns how many there were."""
        filters = ("--filter", f"label={RUN}={run}", "--filter", f"label={STATE}={state}")
        found = self.call("ps", "--all", "--quiet", *filters).stdout.split()
        if found:
            self.call(*self.remove, *found)
        return len(found)


def find(chosen: str) -> Engine:
    """The engine asked for, a name or a path; of none, Docker if it answers, else Podman. Raises BackendError."""
    told = []
    for program in [chosen] if chosen else [DOCKER, PODMAN]:
        answer = _ask(program)
        if isinstance(answer, Engine):
            return answer
        told.append(f"{program}: {answer}")
    hint = "start it, or name another in ORC_CONTAINERS_ENGINE; without --containers, tasks run as processes"
    raise BackendError("no container engine answers", "; ".join(told), hint=hint)


def read(program: str, said: Mapping[str, Any]) -> Engine | None:
    """The engine that says this of itself; None when it is neither Docker nor Podman."""
    host = said.get("host")
    if isinstance(host, dict):  # Podman, whatever it is called here.
        rootless = bool((host.get("security") or {}).get("rootless"))
        init = bool(shutil.which("catatonit")) or any(Path(each).exists() for each in _INIT)
        return Engine(PODMAN, program, rootless, int(host.get("cpus") or 0), int(host.get("memTotal") or 0), init)
    if "NCPU" not in said:
        return None
    rootless = any("rootless" in str(option) for option in said.get("SecurityOptions") or ())
    return Engine(DOCKER, program, rootless, int(said["NCPU"] or 0), int(said.get("MemTotal") or 0))


def _ask(chosen: str) -> Engine | str:
    program = shutil.which(chosen)
    if program is None:
        return "not on this machine"
    answer = _call(program, "info", "--format", "{{json .}}")
    if answer.returncode:
        return last(answer.stderr) or f"`{chosen} info` ended with {answer.returncode}"
    return read(program, _object(answer.stdout) or {}) or f"`{chosen} info` is not understood"


def last(text: str) -> str:
    """The last line of what an engine complained, without the words it begins with."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("ERROR: ").removeprefix("Error: ").rstrip(".") if lines else ""


def _call(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [program, *arguments]
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
            start_new_session=True,  # Ctrl-C in the terminal is the runner's to answer.
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"it has not answered for {_SECONDS:g} s")
    except OSError as error:
        return subprocess.CompletedProcess(command, 126, "", str(error))


def _object(text: str) -> dict[str, Any] | None:
    try:
        said = json.loads(text)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None
