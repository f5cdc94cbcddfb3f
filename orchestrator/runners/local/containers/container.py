"""Containers of one run: started through the engine's program, ended with all they hold, removed when looked at."""

from __future__ import annotations

import itertools
import os
import secrets
import signal
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.runners.local import outputs, process, traces
from orchestrator.runners.local.containers import engine, plan, verdict, watcher
from orchestrator.runners.local.containers.engine import Engine
from orchestrator.runners.local.containers.verdict import Verdict
from orchestrator.runners.local.launch import Launch
from orchestrator.settings import Settings

_GRACE = 10.0  # Seconds the engine's program has to notice that its container was ended.


@dataclass(slots=True)
class Container:
    """A container that runs, and the engine's program that is attached to it."""

    engine: Engine
    name: str
    launch: Launch
    popen: subprocess.Popen[bytes]
    _verdict: Verdict | None = None

    @property
    def pid(self) -> int:
        """The process id of the engine's program; that of the container's own is the engine's."""
        return self.popen.pid

    def ended(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        if self._verdict is None and self.popen.poll() is not None:
            self._verdict = self._judged()
        return self._verdict.code if self._verdict else None

    def reason(self) -> str:
        """Why it failed, where its exit code and its log do not tell."""
        return self._verdict.reason if self._verdict else ""

    def wait(self) -> None:
        """Wait for the end of one that was killed."""
        try:
            self.popen.wait(_GRACE)
        except subprocess.TimeoutExpired:
            traces.signal_group(self.popen.pid, signal.SIGKILL)
            self.popen.wait()

    def terminate(self) -> None:
        """Ask the program to end."""
        self._signal("TERM")

    def kill(self) -> None:
        """End the program, and everything else in the container, at once."""
        self._signal("KILL")

    def clear(self) -> None:
        """After the end: remove the container, with whatever still runs in it."""
        self.engine.call(*self.engine.remove, self.name)

    def _signal(self, name: str) -> None:
        if self.engine.call("kill", f"--signal={name}", self.name).returncode:
            # There is no container yet: its image is being pulled, or it is just being made.
            traces.signal_group(self.popen.pid, signal.Signals[f"SIG{name}"])

    def _judged(self) -> Verdict:
        program = self.launch.command[0] if self.launch.command else ""
        asked = verdict.Asked(self.engine.kind, self.launch.image, program, self.launch.limits)
        state = self.engine.state(self.name)
        if state is None:
            present = bool(self.engine.image(self.launch.image))
            asked = replace(asked, present=present, answers=present or self.engine.call("info").returncode == 0)
        return verdict.of(asked, state, self.popen.returncode, outputs.tail(self.launch.log, 20))


@dataclass(slots=True)
class Containers:
    """Starts the containers of one run; closed, it leaves none behind, and nor does it when it is killed."""

    settings: Settings
    run: str
    engine: Engine = field(init=False)
    runner: str = field(default_factory=lambda: secrets.token_hex(6))
    """What tells this runner's containers from those of one that was killed."""
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _watcher: watcher.Watcher | None = None
    _images: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine = engine.find(self.settings.containers_engine)

    def start(self, launch: Launch) -> Container:
        """Start a container. Raises RunError or OSError when it cannot be asked for."""
        self._watcher = self._watcher or watcher.start(self.engine, self.runner)
        name = f"orc-{self.runner}-{next(self._numbers)}"
        caller = plan.Caller(os.getuid(), os.getgid())
        planned = plan.plan(launch, self.engine, caller, name=name, runner=self.runner)
        _prepare(launch, is_other=not planned.user.startswith(f"{caller.uid}:"))
        with launch.log.open("ab") as stream:
            popen = subprocess.Popen(
                [self.engine.program, *planned.arguments],
                env={**os.environ, **planned.variables},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # The runner has one thread, so that running a line of ours between fork and exec is safe.
                preexec_fn=process.bound(),  # noqa: PLW1509
            )
        return Container(self.engine, name, launch, popen)

    def known(self, image: str) -> str:
        """An image by name and digest; one that is not on this machine yet has none."""
        if image not in self._images:
            self._images[image] = self.engine.image(image)
        return f"{image}@{self._images[image]}"

    def forget(self) -> None:
        """Ask for digests anew: an image may have been pulled."""
        self._images.clear()

    def close(self) -> None:
        """End what still runs, and the watcher."""
        if self._watcher:
            self.engine.sweep(self.run, self.settings.state)
            self._watcher.close()
            self._watcher = None


def _prepare(launch: Launch, *, is_other: bool) -> None:
    """Make what is mounted; a user who is not the caller may read and write what is the attempt's."""
    state = Path(launch.environment[traces.STATE])
    run = state / "runs" / launch.environment[traces.RUN]
    for folder in (state / "artifacts", run / plan.SECRETS):
        folder.mkdir(parents=True, exist_ok=True)
    if not is_other:
        return
    for folder in (launch.folder, launch.places.folder, *launch.places.folder.glob("*/")):
        folder.chmod(0o777)
    for mount in launch.mounts:
        if mount.source.is_relative_to(run):  # What is the user's own stays as it is.
            mount.source.chmod(0o755 if mount.read_only else 0o777)
            for file in mount.source.iterdir():
                file.chmod(0o444)
