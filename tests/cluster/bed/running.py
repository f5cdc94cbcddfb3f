"""The local runner with pods in the place of containers: a task of the compiled file is a pod of the cluster.

Everything is real but for KFP's own programs: images, accounts, volumes, config maps, admission, limits. What its
launcher does beside the program, handing on inputs and outputs, the local runner does on the folder of the claim.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bed import pods
from orchestrator.runners.local.containers.verdict import Verdict
from orchestrator.runners.local.launch import Launch
from orchestrator.settings import Settings

# Follows what a pod says until it ends; there is nothing to follow before it has begun.
FOLLOW = """
until kubectl --namespace "$1" get pod "$2" --output jsonpath='{.status.phase}' | grep -q '[RSF]'; do sleep 0.2; done
exec kubectl --namespace "$1" logs --follow "$2"
"""
SECONDS = 20


@dataclass(frozen=True)
class Site:
    """Where pods of tasks run, as whom, and the claim whose folder they and we know by the same path."""

    namespace: str
    account: str
    claim: str
    folder: Path

    def kubectl(self, *words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        command = ["kubectl", "--namespace", self.namespace, *words]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False)

    def __call__(self, settings: Settings, run: str) -> Pods:
        """In the place of what starts containers."""
        return Pods(self, settings, run)


@dataclass
class Pod:
    """A pod that runs, and the program that follows its log."""

    site: Site
    name: str
    popen: subprocess.Popen[bytes]
    verdict: Verdict | None = None

    @property
    def pid(self) -> int:
        return self.popen.pid

    def ended(self) -> int | None:
        if self.verdict is None and self.popen.poll() is not None:
            self.verdict = self._judged()
        return self.verdict.code if self.verdict else None

    def reason(self) -> str:
        return self.verdict.reason if self.verdict else ""

    def wait(self) -> None:
        self.popen.wait()

    def terminate(self) -> None:
        self.kill()

    def kill(self) -> None:
        self.site.kubectl("delete", "pod", self.name, "--now", "--wait=false")
        os.killpg(self.popen.pid, signal.SIGKILL)

    def clear(self) -> None:
        """It stays for whoever wants to look at it, until its namespace goes."""

    def _judged(self) -> Verdict:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            said = self.site.kubectl("get", "pod", self.name, "--output", "json")
            state = _terminated(json.loads(said.stdout)) if said.returncode == 0 else None
            if state is not None:
                code = int(state["exitCode"])
                return Verdict(code, "" if state.get("reason") in ("Completed", "Error") else str(state.get("reason")))
            time.sleep(0.2)
        return Verdict(1, f"the pod {self.name} was lost: {said.stderr.strip()}")


@dataclass
class Pods:
    """Starts the pods of one run; their names begin with that of the run."""

    site: Site
    settings: Settings
    run: str
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def start(self, launch: Launch) -> Pod:
        task = launch.environment["ORC_TASK"].rpartition("/")[2]
        name = f"{self.run}-{next(self.numbers)}-{task}".lower().replace("_", "-")[:63].rstrip("-")
        _open(self.settings.state)
        manifest = self.manifest(name, launch)
        done = self.site.kubectl("create", "--filename", "-", given=json.dumps(manifest))
        if done.returncode:
            raise OSError(done.stderr.strip())
        with launch.log.open("ab") as log:
            command = ["sh", "-c", FOLLOW, "follow", self.site.namespace, name]
            popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        return Pod(self.site, name, popen)

    def manifest(self, name: str, launch: Launch) -> pods.Manifest:
        said = len(launch.command)
        program = pods.Program(launch.image, launch.words[:said], launch.words[said:], launch.declared)
        folder = str(self.site.folder)
        volumes = [
            pods.Volume({"persistentVolumeClaim": {"claimName": self.site.claim}}, folder),
            pods.Volume({"emptyDir": {}}, "/tmp"),
        ]
        labels = {"pipeline/runid": self.run}
        return pods.pod(
            name,
            program,
            launch.limits,
            launch.kubernetes,
            account=self.site.account,
            labels=labels,
            volumes=volumes,
        )

    def known(self, image: str) -> str:
        return image

    def forget(self) -> None:
        """Images have tags that say what is in them."""

    def close(self) -> None:
        """Pods that still run when a run ends were ended one by one."""


def _open(state: Path) -> None:
    """The user of a pod is nobody here, and writes where we made folders."""
    for folder, _, files in os.walk(state):
        Path(folder).chmod(0o777)
        for file in files:
            path = Path(folder, file)
            if not path.is_symlink() and path.stat().st_uid == os.getuid():
                path.chmod(path.stat().st_mode | 0o666)


def _terminated(pod: dict[str, Any]) -> dict[str, Any] | None:
    for status in pod["status"].get("containerStatuses", ()):
        found = status["state"].get("terminated")
        if found is not None:
            return dict(found)
    return None
