"""A real node in namespaces of its own: whatever runs in them is gone when their first process is.

The node has its own processes, mounts and network, joined to the host by one pair of interfaces. Pods reach the API
server through it, and the host reaches pods; nothing is changed on the machine that outlives the pair.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bed.processes import NotStartedError, Processes

CNI = Path("/usr/lib/cni")
NEEDED = ("containerd", "runc", "ctr", "ip", "iptables", "nsenter", "sysctl", "unshare")
# What programs of a node write at fixed places stays in its own mounts; the folders have to be there.
HIDDEN = ("/run", "/var/log", "/var/lib/cni", "/var/lib/kubelet")
NAME = "worker"


@dataclass(frozen=True)
class Place:
    """Where a node is: the namespaces of process `pid`, both ends of its network, and the network of its pods."""

    folder: Path
    pid: int
    host: str
    node: str
    pods: str

    def inside(self, *command: str) -> list[str]:
        return ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--uts", "--", *command]

    @property
    def socket(self) -> Path:
        """Of containerd."""
        return self.folder / "containerd.sock"


def missing() -> str:
    """What keeps a node from this machine, or nothing."""
    if os.getuid():
        return "a node needs root"
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return f"a node needs {', '.join(absent)} (Debian: containerd, runc, iproute2, iptables, procps)"
    if not (CNI / "bridge").exists():
        return f"a node needs the CNI plug-ins in {CNI} (Debian: containernetworking-plugins)"
    tried = ["unshare", "--pid", "--net", "--mount", "--uts", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/run"]
    done = subprocess.run(tried, capture_output=True, text=True, check=False)
    return f"a node needs namespaces: {done.stderr.strip()}" if done.returncode else ""


def place(folder: Path, processes: Processes) -> Place:
    """Namespaces, and a network between them and the host."""
    home = folder / "node"
    for hidden in HIDDEN:
        (home / hidden[1:]).mkdir(parents=True)
        Path(hidden).mkdir(parents=True, exist_ok=True)
    binds = [f"mount --bind {home}{hidden} {hidden}" for hidden in HIDDEN]
    # The first process takes in what others leave behind, as that of a machine does.
    lines = ["set -e", *binds, "mount --make-rshared /", f"hostname {NAME}", "while :; do sleep 3600 & wait $!; done"]
    unshare = ["unshare", "--pid", "--net", "--mount", "--uts", "--fork", "--kill-child", "--mount-proc"]
    outer = processes.start("node", [*unshare, "sh", "-c", "\n".join(lines)])
    pid = _first(outer, processes)
    processes.firsts["node"] = pid
    number = _free_number()
    made = Place(home, pid, f"10.98.{number}.1", f"10.98.{number}.2", f"10.97.{number}.0/24")
    link = f"orc{number}"
    _do("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    _do("ip", "address", "add", f"{made.host}/30", "dev", link)
    _do("ip", "link", "set", link, "up")
    for line in ("link set lo up", f"address add {made.node}/30 dev eth0", "link set eth0 up"):
        _do(*made.inside("ip", *line.split()))
    _do(*made.inside("ip", "route", "add", "default", "via", made.host))
    _do(*made.inside("sysctl", "-qw", "net.ipv4.ip_forward=1"))
    _do("ip", "route", "add", made.pods, "via", made.node, "dev", link)
    return made


def clean() -> None:
    """Remove the control groups that containers left; those of others are not empty, and stay."""
    for top in Path("/sys/fs/cgroup").glob("**/k8s.io"):
        for group in sorted(top.rglob("*"), reverse=True):
            if group.is_dir():
                with contextlib.suppress(OSError):
                    group.rmdir()
        with contextlib.suppress(OSError):
            top.rmdir()


def _first(outer: subprocess.Popen[bytes], processes: Processes) -> int:
    """The first process of the namespaces, as this machine numbers it, once it has made itself at home."""
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")

    def settled() -> bool:
        told = children.read_text().split()
        return bool(told) and Path(f"/proc/{told[0]}/task/{told[0]}/children").read_text().strip() != ""

    processes.wait("the place of the node", settled, 20)
    return int(children.read_text().split()[0])


def _free_number() -> int:
    """A number that no other cluster on this machine uses for its network."""
    routes = subprocess.run(["ip", "-4", "route"], capture_output=True, text=True, check=True).stdout
    return next(number for number in range(1, 255) if f"10.98.{number}." not in routes)


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotStartedError(f"{' '.join(command)}: {done.stderr.strip()}")
