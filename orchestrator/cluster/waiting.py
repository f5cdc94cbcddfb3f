"""Waiting for objects: until all are as they should be, one has failed for good, or the time is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from orchestrator.cluster import evidence, readiness
from orchestrator.cluster.objects import Manifest, Progress, Ref, ref
from orchestrator.cluster.readiness import ready
from orchestrator.errors import BackendError

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster
    from orchestrator.cluster.reason import Reason

_FIRST, _MOST = 0.1, 1.0
_LOOK = 1.0
"""Seconds between two looks at the pods below an object: its own status is cheaper to ask."""
STEADY = 3.0
"""Seconds for which what has no readiness probe must be ready: a container that runs may end at its first line."""
STUCK = 30.0
"""Seconds after which what does not mend itself (an image that does not exist) is not waited for any longer."""


def wait(
    cluster: Cluster,
    objects: Sequence[Manifest],
    *,
    seconds: float,
    until: Callable[[Manifest], Progress],
    said: Callable[[Ref, Progress], None] | None,
    stuck: float = STUCK,
) -> tuple[Manifest, ...]:
    """Wait until all objects are as `until` wants them."""
    watched = [_Watched(cluster, each, until, said, stuck) for each in objects]
    deadline, pause = time.monotonic() + seconds, _FIRST
    while True:
        open = [each for each in watched if not each.is_done and not each.look()]
        failed = [each for each in open if each.is_over]
        if failed:
            raise _error(failed, "failed")
        if not open:
            return tuple(each.live for each in watched)
        left = deadline - time.monotonic()
        if left <= 0:
            raise _error(open, f"is not ready after {seconds:g} s")
        time.sleep(min(pause, left))
        pause = min(_MOST, pause * 1.5)


class _Watched:
    """One object that is waited for."""

    def __init__(
        self,
        cluster: Cluster,
        manifest: Manifest,
        until: Callable[[Manifest], Progress],
        said: Callable[[Ref, Progress], None] | None,
        stuck: float,
    ) -> None:
        self.cluster, self.until, self.said, self.stuck = cluster, until, said, stuck
        self.live: Manifest = manifest
        self.progress = Progress(done=False)
        self.because: Reason | None = None
        self.is_done = False
        self.looked = time.monotonic()
        self.stuck_since: float | None = None
        self.ready_since: float | None = None
        self.was_ready = True

    @property
    def is_over(self) -> bool:
        """Whether no more waiting helps."""
        return self.progress.failed or (
            self.stuck_since is not None and time.monotonic() - self.stuck_since >= self.stuck
        )

    @property
    def about(self) -> Ref:
        """What names it, as the cluster does once it was asked."""
        return ref(self.live)

    def look(self) -> bool:
        """Ask once more; whether it is done."""
        live = self.cluster.live(self.live)
        if live is None:
            now = Progress(done=False, text="it does not exist")
        else:
            self.live = live
            now = self._steady(live, self.until(live))
        if not now.done and live is not None and (now.failed or time.monotonic() - self.looked >= _LOOK):
            self._look_below(live)
            if self.because and self.because.is_enough:
                now = Progress(done=True)
        if self.because and not now.done:
            now = Progress(
                done=False,
                failed=now.failed,
                text=f"{now.text}; {self.because.text}" if now.text else self.because.text,
            )
        if now != self.progress and self.said:
            self.said(self.about, now)
        self.progress, self.is_done = now, now.done
        return now.done

    def _steady(self, live: Manifest, now: Progress) -> Progress:
        """Done only when it stays so, where nothing but running says that a container is ready."""
        if not now.done:
            self.ready_since, self.was_ready = None, False
            return now
        if self.was_ready or self.until is not ready or not readiness.is_unproven(live):
            return now
        self.ready_since = self.ready_since or time.monotonic()
        left = STEADY - (time.monotonic() - self.ready_since)
        return now if left <= 0 else Progress(done=False, text="its pods run; it has no readiness probe to say more")

    def _look_below(self, live: Manifest) -> None:
        self.because = evidence.found(self.cluster, live)
        self.looked = time.monotonic()
        if self.because is None or not self.because.is_stuck:
            self.stuck_since = None
        elif self.stuck_since is None:
            self.stuck_since = self.looked

    def told(self) -> str:
        """Why it is not done, with the last lines of a log."""
        if self.because is None:
            self._look_below(self.live)
        own, below = self.progress.text, self.because
        if below is None:
            return own
        text = evidence.with_log(self.cluster, self.live, below)
        own = own.removesuffix(below.text).rstrip("; ")
        return f"{own}; {text}" if own else text


def _error(watched: Sequence[_Watched], verb: str) -> BackendError:
    texts = []
    for each in watched:
        did = verb if each.progress.failed or "after" in verb else "is not ready"
        texts.append(f"{each.about} {did}: {each.told()}" if each.told() else f"{each.about} {did}")
    hint = next((each.because.hint for each in watched if each.because and each.because.hint), "")
    where = watched[0].about
    return BackendError("Kubernetes", "\n".join(texts), hint=hint or _describe(where))


def _describe(about: Ref) -> str:
    option = f" -n {about.namespace}" if about.namespace else ""
    return f"kubectl describe {about.kind.lower()} {about.name}{option}"
