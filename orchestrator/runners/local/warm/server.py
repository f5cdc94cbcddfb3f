"""The fork server: a Python of the task's environment that has loaded what a component imports, and forks per task.

It is run by its path in whatever environment a task has, so it knows nothing but the standard library. The runner
talks to it through a socket: frames of JSON behind their length. `run` forks a task; `load` forks another server that
loads more. A forked task differs from one started from scratch in nothing it could notice but the time it took.
"""

from __future__ import annotations

import atexit
import builtins
import ctypes
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

MARK = "ORC_PROCESS"
_PDEATHSIG = 1
_TRIAL_SECONDS = 5.0
_PREPARED = ("jemalloc_bg_thd",)
"""Threads that give memory back for jemalloc, pyarrow's allocator, which takes its locks around a fork."""
_prctl = ctypes.CDLL(None, use_errno=True).prctl


class Unsafe(Exception):  # noqa: N818  It is no error: tasks are then started from scratch.
    """Why nothing can be forked from here."""


class Channel:
    """The socket to the runner."""

    def __init__(self, number: int) -> None:
        self.socket = socket.socket(fileno=number)
        self.buffer = b""
        self.numbers: list[int] = []

    def close(self) -> None:
        """In a forked process: let go of what belongs to the one before."""
        self.socket.close()
        for number in self.numbers:
            os.close(number)
        self.numbers.clear()

    def say(self, message: dict[str, Any]) -> None:
        """Send one frame."""
        body = json.dumps(message).encode()
        self.socket.sendall(len(body).to_bytes(4, "big") + body)

    def hear(self) -> list[dict[str, Any]]:
        """The frames that have come. Raises EOFError when the runner is gone."""
        data, numbers, _, _ = socket.recv_fds(self.socket, 1 << 16, 4)
        if not data:
            raise EOFError
        self.buffer += data
        self.numbers += numbers
        frames = []
        while len(self.buffer) >= 4 and len(self.buffer) >= 4 + (size := int.from_bytes(self.buffer[:4], "big")):
            frames.append(json.loads(self.buffer[4 : 4 + size]))
            self.buffer = self.buffer[4 + size :]
        return frames


class Server:
    """One process that forks; `wait` returns only in a task's process."""

    def __init__(self, channel: Channel, place: int) -> None:
        self.channel = channel
        self.place = place
        """The address of the mark in this process's environment block."""
        self.printed = b""
        """What the imports printed: every task's log begins with it."""
        self.tasks: dict[int, int] = {}
        self.servers: set[int] = set()

    def wait(self) -> Callable[[], None]:
        """Serve the runner until it is gone; in the process of a task, return what it has to do."""
        own = os.getpid()
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        gc.collect()
        gc.freeze()
        while True:
            ready = select.select([self.channel.socket.fileno(), reader], [], [])[0]
            if reader in ready:
                os.read(reader, 4096)
                self.reap()
            if self.channel.socket.fileno() not in ready:
                continue
            for request in self.heard():
                pid = os.fork()
                if pid:
                    self.forked(pid, request)
                    continue
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.close(reader)
                os.close(writer)
                gc.unfreeze()
                if request["do"] == "load":
                    return become(self.channel, self.place, request, own).wait()
                self.channel.close()
                return functools.partial(work, self, request, own)

    def heard(self) -> list[dict[str, Any]]:
        """What the runner asks for; it ends this server by going away."""
        try:
            return self.channel.hear()
        except (EOFError, OSError):
            os._exit(0)

    def forked(self, pid: int, request: dict[str, Any]) -> None:
        """Remember a child, and tell the runner of a task's."""
        if request["do"] == "run":
            self.tasks[pid] = request["id"]
            self.channel.say({"id": request["id"], "pid": pid})
        else:
            self.servers.add(pid)
            os.close(self.channel.numbers.pop(0))

    def reap(self) -> None:
        """Tell the runner which tasks have ended, and how."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self.servers.discard(pid)
            if pid in self.tasks:
                self.channel.say({"id": self.tasks.pop(pid), "code": os.waitstatus_to_exitcode(status)})


def become(parent: Channel, place: int, request: dict[str, Any], parent_id: int) -> Server:
    """In a process forked from a server: another server, with more loaded."""
    die_with(parent_id)
    number = parent.numbers.pop(0)
    parent.close()
    server = Server(Channel(number), place)
    try:
        server.printed = load(request["imports"])
        check()
    except Unsafe as reason:
        server.channel.say({"unsafe": str(reason)})
        os._exit(0)
    server.channel.say({"ready": True})
    return server


def load(imports: list[list[str]]) -> bytes:
    """Import modules; what they print is kept. One that cannot be imported is left to the task to complain about."""
    kept = os.memfd_create("printed")
    before = os.dup(1), os.dup(2)
    os.dup2(kept, 1)
    os.dup2(kept, 2)
    try:
        for module, name in imports:
            try:
                if name:  # As `from module import name` does it: a name that is a module is loaded, too.
                    importlib.__import__(module, fromlist=[name])
                else:
                    importlib.import_module(module)
            except Exception as error:  # Whatever a module does when it is imported.
                raise Unsafe(f"{module} cannot be imported: {error!r}") from error
            except SystemExit as error:
                raise Unsafe(f"{module} exits when it is imported") from error
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os.dup2(before[0], 1)
        os.dup2(before[1], 2)
        os.close(before[0])
        os.close(before[1])
    os.lseek(kept, 0, os.SEEK_SET)
    printed = b""
    while part := os.read(kept, 1 << 16):
        printed += part
    os.close(kept)
    return printed


def check() -> None:
    """Raise Unsafe if a fork would copy what cannot be copied: other threads, or an open GPU."""
    # Libraries that know of forks, OpenBLAS for one, end their threads before one: so one is tried.
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    if not _ended_in_time(pid):
        raise Unsafe("a fork hangs")
    threads = [number for number in os.listdir("/proc/self/task") if int(number) != os.getpid() and not _knows(number)]
    if threads:
        raise Unsafe(f"its imports started {len(threads)} threads")
    for number in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{number}").startswith("/dev/nvidia"):
                raise Unsafe("its imports opened a GPU")
        except FileNotFoundError:
            continue


def _knows(thread: str) -> bool:
    """Whether a thread is one that is prepared for forks though it does not end before one."""
    try:
        with open(f"/proc/self/task/{thread}/comm") as stream:
            return stream.read().strip() in _PREPARED
    except FileNotFoundError:
        return True  # It has ended.


def _ended_in_time(pid: int) -> bool:
    watched = os.pidfd_open(pid)
    try:
        if select.select([watched], [], [], _TRIAL_SECONDS)[0]:
            return True
        os.kill(pid, signal.SIGKILL)
        return False
    finally:
        os.waitpid(pid, 0)
        os.close(watched)


def die_with(parent: int) -> None:
    """Let this process be killed when its parent dies; a parent that is already gone has others' number."""
    _prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def work(server: Server, request: dict[str, Any], parent: int) -> None:
    """All that a task's process does."""
    settle(server, request, parent)
    run(request["argv"])


def settle(server: Server, request: dict[str, Any], parent: int) -> None:
    """Make this process that of a task: session, mark, folder, log, variables, and what imports left behind."""
    os.setsid()
    die_with(parent)
    mark = request["environment"][MARK].encode()
    ctypes.memmove(server.place, mark, len(mark))
    os.chdir(request["folder"])
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if log > 2:
        os.close(log)
    if server.printed:
        os.write(1, server.printed)
    os.environ.update(request["environment"])
    if "tempfile" in sys.modules:
        vars(sys.modules["tempfile"])["tempdir"] = None  # It remembers where TMPDIR was.
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()  # Else all tasks would draw the same numbers.


def run(argv: list[str]) -> None:
    """Run `-m MODULE`, `-c TEXT` or a file as the program of this process."""
    sys.orig_argv = [sys.executable, *argv]
    main = types.ModuleType("__main__")
    vars(main)["__builtins__"] = builtins
    sys.modules["__main__"] = main
    if argv[0] == "-m":
        sys.argv, sys.path = ["-m", *argv[2:]], [os.getcwd(), *sys.path]
        vars(runpy)["_run_module_as_main"](argv[1])  # What the interpreter itself calls.
        return
    if argv[0] == "-c":
        sys.argv, sys.path = ["-c", *argv[2:]], ["", *sys.path]
        code = compile(argv[1], "<string>", "exec")
    else:
        sys.argv, sys.path = argv, [os.path.dirname(os.path.abspath(argv[0])), *sys.path]
        main.__file__ = argv[0]
        with open(argv[0], "rb") as stream:
            code = compile(stream.read(), argv[0], "exec")
    exec(code, vars(main))


def leave(work: Callable[[], None]) -> None:
    """Run to the end as the interpreter would: traceback, threads, exit handlers, buffers, exit code."""
    code = 0
    try:
        work()
    except SystemExit as left:
        code = _code(left)
    except KeyboardInterrupt:
        _tell(*sys.exc_info())
        code = -signal.SIGINT
    except BaseException:  # As the interpreter: told with its traceback, whatever it is.
        _tell(*sys.exc_info())
        code = 1
    for last in (threading._shutdown, atexit._run_exitfuncs, _flush):  # type: ignore[attr-defined]
        try:
            last()
        except BaseException:  # One that fails does not keep the next from its turn.
            _tell(*sys.exc_info())
            code = code or 120
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code & 0xFF)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def _code(left: SystemExit) -> int:
    if left.code is None:
        return 0
    if isinstance(left.code, int):
        return left.code
    print(left.code, file=sys.stderr)
    return 1


def _tell(kind: Any, error: Any, trace: Any) -> None:
    # The program's own lines, without those of this file.
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    sys.excepthook(kind, error.with_traceback(trace), trace)


def _place_of_mark() -> int:
    """Where the mark lies in this process's environment, as others read it in /proc."""
    with open("/proc/self/stat", "rb") as stream:
        fields = stream.read().rpartition(b")")[2].split()
    with open("/proc/self/environ", "rb") as stream:
        offset = stream.read().index(f"{MARK}=".encode())
    return int(fields[47]) + offset + len(MARK) + 1


def main() -> None:
    """Serve on the socket whose number is the first argument; come back only in a task's process."""
    sys.path.pop(0)  # The folder of this file, whose modules have everyday names.
    channel = Channel(int(sys.argv[1]))
    server = Server(channel, _place_of_mark())
    channel.say({"ready": True})
    leave(server.wait())


if __name__ == "__main__":
    main()
