"""The runner's side of the fork servers: which there are, what they were asked, and the tasks they forked."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.runners.local import process, traces
from orchestrator.runners.local.launch import Launch
from orchestrator.runners.local.process import PRCTL, Process
from orchestrator.runners.local.warm.imports import Group
from orchestrator.runners.local.watch import Watch

_PROGRAM = Path(__file__).with_name("server.py")
_OF_A_TASK = (traces.TASK, traces.MARK, "TMPDIR")
"""The variables that differ between the tasks one server forks."""


def is_possible() -> bool:
    """Whether this machine can tell that a fork is safe, and find what was forked."""
    return PRCTL is not None and Path("/proc/self/environ").exists() and hasattr(os, "pidfd_open")


@dataclass(slots=True, eq=False)
class Forked:
    """A task's program forked from a server, or started from scratch after all because the server cannot fork."""

    argv: tuple[str, ...]
    launch: Launch
    server: Server
    pid: int = 0
    code: int | None = None
    told: int = 0
    """The signal to be sent as soon as the process is known."""
    cold: Process | None = None
    is_lost: bool = False
    """Whether the server died under it."""

    @property
    def mark(self) -> str:
        """What its processes are found by."""
        return self.launch.environment[traces.MARK]

    def ended(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        return self.cold.ended() if self.cold else self.code

    def reason(self) -> str:
        """Why it failed, where its exit code and its log do not tell; else nothing."""
        return "the warm process it was forked from was killed, and it died with it" if self.is_lost else ""

    def wait(self) -> None:
        """Wait for the end of one that was killed."""
        while self.cold is None and self.code is None:
            self.server.read(wait=True)
        if self.cold:
            self.cold.wait()

    def terminate(self) -> None:
        """Ask the program and its group to end."""
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the program and its group at once."""
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send a signal now, or once there is somebody to receive it."""
        if self.cold:
            traces.signal_group(self.cold.pid, number)
        elif self.pid:
            if self.code is None:
                traces.signal_group(self.pid, number)
        elif self.server.withdraw(self):
            self.code = -number
        else:
            self.told = number

    def clear(self) -> None:
        """After the end: end what it started and left running, in whatever session."""
        if pid := self.cold.pid if self.cold else self.pid:
            traces.clear(pid, self.mark)

    def begun(self, pid: int) -> None:
        """The server forked it."""
        self.pid = pid
        if self.told:
            traces.signal_group(pid, self.told)

    def lost(self) -> None:
        """The server is gone, or cannot fork: it starts from scratch if it has not begun."""
        if self.pid:
            self.is_lost, self.code = True, -signal.SIGKILL
        elif self.told:
            self.code = -self.told
        else:
            self._restart()

    def _restart(self) -> None:
        try:
            self.cold = process.start(self.argv, self.launch)
        except OSError as error:
            with self.launch.log.open("a", encoding="utf-8") as log:
                log.write(f"error: it cannot be started: {error}\n")
            self.code = 127


@dataclass(slots=True, eq=False)
class Server:
    """One fork server, as the runner knows it."""

    channel: socket.socket
    watch: Watch
    is_ready: bool = False
    is_gone: bool = False
    waiting: list[tuple[bytes, int | None, Forked | None]] = field(default_factory=list)
    """Frames, each with a file descriptor or a task, that are sent when it listens."""
    forked: dict[int, Forked] = field(default_factory=dict)
    count: int = 0
    buffer: bytes = b""

    def run(self, argv: tuple[str, ...], launch: Launch) -> Forked:
        """Fork a task."""
        handle = Forked(argv, launch, self)
        if self.is_gone:
            handle.lost()
            return handle
        self.count += 1
        self.forked[self.count] = handle
        environment = {name: launch.environment[name] for name in _OF_A_TASK}
        paths = {"folder": str(launch.folder), "log": str(launch.log)}
        request = {"do": "run", "id": self.count, "argv": argv[1:], "environment": environment, **paths}
        self._send(request, task=handle)
        return handle

    def load(self, group: Group) -> Server:
        """Another server, which has loaded more than this one."""
        ours, theirs = socket.socketpair()
        with theirs:
            server = Server(ours, self.watch)
            self.watch.register(ours, server.read)
            if self.is_gone:
                server._lose()
            else:
                self._send({"do": "load", "imports": group}, number=os.dup(theirs.fileno()))
        return server

    def withdraw(self, handle: Forked) -> bool:
        """Take back a request that was not sent yet."""
        for each in self.waiting:
            if each[2] is handle:
                self.waiting.remove(each)
                self.forked = {number: one for number, one in self.forked.items() if one is not handle}
                return True
        return False

    def read(self, *, wait: bool = False) -> None:
        """Take in what the server says. Called when there is something to read."""
        if self.is_gone:
            return
        self.channel.setblocking(wait)
        try:
            data = self.channel.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        finally:
            self.channel.setblocking(True)
        if not data:
            self._lose()
            return
        self.buffer += data
        while len(self.buffer) >= 4 and len(self.buffer) >= 4 + (size := int.from_bytes(self.buffer[:4], "big")):
            message = json.loads(self.buffer[4 : 4 + size])
            self.buffer = self.buffer[4 + size :]
            self._heard(message)

    def close(self) -> None:
        """Let the server end."""
        if not self.is_gone:
            self._lose()

    def _heard(self, message: Mapping[str, Any]) -> None:
        match message:
            case {"id": number, "pid": pid}:
                self.forked[number].begun(pid)
            case {"id": number, "code": code}:
                self.forked.pop(number).code = code
            case {"ready": True}:
                self.is_ready = True
                for body, descriptor, _ in self.waiting:
                    self._post(body, descriptor)
                self.waiting.clear()

    def _send(self, message: Mapping[str, Any], *, number: int | None = None, task: Forked | None = None) -> None:
        body = json.dumps(message).encode()
        frame = len(body).to_bytes(4, "big") + body
        if self.is_ready:
            self._post(frame, number)
        else:
            self.waiting.append((frame, number, task))

    def _post(self, frame: bytes, number: int | None) -> None:
        # One that is gone is noticed when it is read from.
        with contextlib.suppress(OSError):
            if number is None:
                self.channel.sendall(frame)
            else:
                socket.send_fds(self.channel, [frame], [number])
        if number is not None:
            os.close(number)

    def _lose(self) -> None:
        self.is_gone = True
        self.watch.forget(self.channel)
        self.channel.close()
        for _, number, _ in self.waiting:
            if number is not None:
                os.close(number)
        self.waiting.clear()
        for handle in self.forked.values():
            handle.lost()
        self.forked.clear()


@dataclass(slots=True)
class Servers:
    """All fork servers of a run, by interpreter, variables and what they have loaded."""

    watch: Watch
    base: dict[tuple[str, frozenset[tuple[str, str]]], tuple[Server, subprocess.Popen[bytes]]] = field(
        default_factory=dict
    )
    loaded: dict[tuple[Server, Group], Server] = field(default_factory=dict)
    seen: set[tuple[str, frozenset[tuple[str, str]]]] = field(default_factory=set)

    def is_worth(self, interpreter: str, launch: Launch) -> bool:
        """Whether a task like this one may come again: one with variables that no task had before goes alone.

        A loop over a secret or a number in a variable would else leave a server behind for every item.
        """
        key = interpreter, _shared(launch)
        known = not launch.declared or key in self.base or key in self.seen
        self.seen.add(key)
        return known

    def start(self, argv: tuple[str, ...], launch: Launch, groups: tuple[Group, ...]) -> Forked:
        """Fork a task from the server that has loaded these groups of imports. Raises OSError."""
        return self.ready(argv[0], launch, groups).run(argv, launch)

    def ready(self, interpreter: str, launch: Launch, groups: tuple[Group, ...]) -> Server:
        """The server that has loaded these groups, or is about to. Raises OSError."""
        shared = _shared(launch)
        if (interpreter, shared) not in self.base:
            self.base[interpreter, shared] = self._first(interpreter, dict(shared))
        server = self.base[interpreter, shared][0]
        for group in groups:
            if (server, group) not in self.loaded:
                self.loaded[server, group] = server.load(group)
            server = self.loaded[server, group]
        return server

    def close(self) -> None:
        """End all servers."""
        for server in self.loaded.values():
            server.close()
        for server, popen in self.base.values():
            server.close()
            popen.kill()
            popen.wait()
            traces.clear_session(popen.pid)  # One that hangs in an import has not heard that it should end.

    def _first(self, interpreter: str, environment: dict[str, str]) -> tuple[Server, subprocess.Popen[bytes]]:
        ours, theirs = socket.socketpair()
        with theirs:
            popen = subprocess.Popen(
                [interpreter, str(_PROGRAM), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd="/",
                env={**environment, traces.TASK: "", traces.MARK: traces.NO_TASK},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=process.bound(),  # noqa: PLW1509  The runner has one thread.
            )
        server = Server(ours, self.watch)
        self.watch.register(ours, server.read)
        return server, popen


def _shared(launch: Launch) -> frozenset[tuple[str, str]]:
    """The variables that a server has of its own, and so all its tasks."""
    return frozenset((name, value) for name, value in launch.environment.items() if name not in _OF_A_TASK)
