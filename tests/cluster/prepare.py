"""Runs a command with a cluster: `prepare.py pytest tests/cluster` starts a real Kubernetes for as long as it takes.

    prepare.py COMMAND...               the control plane, and a node where this machine can have one
    prepare.py --images COMMAND...      the same, and a Docker that builds images for the node, where there can be one
    prepare.py --within 20 COMMAND...   gives up where the programs cannot be built within 20 minutes: exit code 75
    prepare.py --ready                  exit code 0 if the programs are there already

The programs are built by Go from its module proxy, once, and kept in ~/.cache/orchestrator-tests ($ORC_TEST_CLUSTER
names another folder). Everything that runs and all it writes is gone afterwards, however this ends. A node runs
pods, and needs root, containerd, runc and the CNI plug-ins; `--control-plane` does without.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from bed import builder, control, node, programs, worker
from bed.control import Control
from bed.processes import NotStartedError, Processes, die_with_parent
from bed.programs import NotBuiltError

CRDS = Path(__file__).parent / "crds"
# sysexits.h: a failure that may pass. Of our own choosing for "not run", so that nobody takes it for failed tests.
NOT_RUN = 75
FOLDER = "orc-cluster-"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ready", action="store_true", help="say whether the programs are there, and do nothing")
    parser.add_argument("--within", type=float, metavar="MINUTES", help="give up building after so many minutes")
    parser.add_argument("--control-plane", action="store_true", help="without a node: nothing runs in pods")
    parser.add_argument("--images", action="store_true", help="with what builds images, where this machine can")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    told = parser.parse_args()
    if told.ready:
        return 0 if programs.ready() else 1
    if not told.command:
        parser.error("which command is to be run with the cluster?")
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell has jobs in the background ignore it.
    try:
        folder = programs.built(minutes=told.within)
        with cluster(folder, with_node=not told.control_plane, with_images=told.images) as variables:
            return _run(told.command, variables)
    except NotBuiltError as error:
        print(f"no cluster: {error}", file=sys.stderr)
        return NOT_RUN if error.late or told.within is not None else 1
    except NotStartedError as error:
        do = "" if told.control_plane else "\n  --control-plane does without a node and without images"
        print(f"no cluster: {error}{do}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        _sweep()


@contextlib.contextmanager
def cluster(binaries: Path, *, with_node: bool, with_images: bool) -> Iterator[dict[str, str]]:
    """Variables by which a cluster answers that lives as long as this."""
    started = time.monotonic()
    missing = worker.missing() if with_node else "it was not asked for"
    _sweep()
    with tempfile.TemporaryDirectory(prefix=f"{FOLDER}{os.getpid()}-") as held:
        folder = Path(held)
        processes = Processes(folder)
        try:
            place = worker.place(folder, processes) if not missing else None
            made = control.start(folder, binaries, processes, address=place.host if place else "127.0.0.1")
            _define(made, processes)
            if place:
                node.start(made, place, processes)
            what = "a control plane and a node" if place else f"a control plane without a node: {missing}"
            print(f"cluster: {what} (in {time.monotonic() - started:.0f} s)", file=sys.stderr, flush=True)
            images = _builder(folder, processes, has_node=place is not None) if with_images else {}
            yield {
                "KUBECONFIG": str(made.kubeconfig),
                "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
                # How a test gives the node an image: this, and the archive.
                "ORC_TEST_IMPORT": " ".join(node.importing(place)) if place else "",
                **images,
            }
        finally:
            processes.stop()


def _sweep() -> None:
    """Remove what one that was killed could not remove itself; its processes died with it."""
    for folder, pid in _folders():
        if not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)
    # A group that has no process yet looks like one that is left, so that another cluster's are left alone.
    if os.getuid() == 0 and not list(_folders()):
        worker.clean()


def _folders() -> Iterator[tuple[Path, str]]:
    """The folders of all clusters of this machine, with the processes they belong to."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}*-*"):
        pid = folder.name.removeprefix(FOLDER).partition("-")[0]
        if pid.isdecimal():
            yield folder, pid


def _builder(folder: Path, processes: Processes, *, has_node: bool) -> dict[str, str]:
    """Variables by which images are built for the node."""
    missing = builder.missing() if has_node else "there is no node to run them"
    print(
        f"images: {f'none: {missing}' if missing else 'built here, and run by the node'}", file=sys.stderr, flush=True
    )
    return {} if missing else builder.start(folder, processes)


def _define(made: Control, processes: Processes) -> None:
    """The resources that are not Kubernetes' own, and the word that this cluster is the tests'."""

    def kubectl(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(made.programs / "kubectl"), "--kubeconfig", str(made.kubeconfig), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def defined() -> bool:
        # Fails, too, where one is so new that it has no conditions at all.
        words = ("wait", "--for=condition=Established", "--timeout=10s", "--all", "customresourcedefinitions")
        return kubectl(*words).returncode == 0

    for words in (
        ("apply", "--server-side", "--filename", str(CRDS)),
        ("create", "configmap", "orchestrator-tests", "--namespace=kube-system"),
    ):
        done = kubectl(*words)
        if done.returncode:
            raise NotStartedError(done.stderr.strip())
    processes.wait("the definitions of KServe's and KFP's resources", defined, 60)


def _run(command: list[str], variables: dict[str, str]) -> int:
    """Runs the command, which is told of a signal as we are; its exit code is ours."""
    environment = {**os.environ, **variables}
    process = subprocess.Popen(command, env=environment, preexec_fn=die_with_parent)  # noqa: PLW1509
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
