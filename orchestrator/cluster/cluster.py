"""A cluster and what can be done there. Objects are plain mappings; one without a namespace is in the cluster's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.cluster.objects import Applied, Change, Event, Manifest, Progress, Ref
from orchestrator.cluster.readiness import ready


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster, as one account. All methods raise BackendError (RefusedError where the server answered)."""

    namespace: str
    """Where objects are that name no namespace."""

    def apply(
        self, objects: Sequence[Manifest], *, owner: str = "", dry_run: bool = False, force: bool = False
    ) -> tuple[Applied, ...]:
        """Server-side apply with strict fields, in the order objects need each other; returned in that order.

        `owner` labels each object as one of a set (`orchestrator/set`), for `prune`. `force` takes fields from other
        managers; without it they are a RefusedError that names them. What was cut off is mended by applying again.
        """
        raise NotImplementedError

    def plan(
        self, objects: Sequence[Manifest], *, owner: str = "", prune: bool = False, force: bool = False
    ) -> tuple[Change, ...]:
        """What `apply` (and `prune`) would do: a dry run against what is there. Changes nothing."""
        raise NotImplementedError

    def get(self, kind: str, name: str, namespace: str = "", *, group: str = "") -> Manifest | None:
        """One object, or None where there is none."""
        raise NotImplementedError

    def list(
        self, kind: str, namespace: str = "", *, group: str = "", labels: str = "", fields: str = ""
    ) -> tuple[Manifest, ...]:
        """Objects of a kind in a namespace; `labels` and `fields` are selectors such as `app=web,tier!=cache`."""
        raise NotImplementedError

    def delete(self, objects: Sequence[Manifest], *, seconds: float = 60.0) -> tuple[Ref, ...]:
        """Delete objects, what was made last first, with what hangs below them, and wait until they are gone.

        Returns what was there. Raises BackendError that names what is left, and what holds it, after `seconds`;
        with `seconds=0` it does not wait.
        """
        raise NotImplementedError

    def prune(self, owner: str, keep: Sequence[Manifest], *, dry_run: bool = False) -> tuple[Ref, ...]:
        """Delete what is in the set `owner` in this namespace, was applied by us, and is not among `keep`.

        Never claims of volumes, namespaces or anything of the whole cluster.
        """
        raise NotImplementedError

    def wait(
        self,
        objects: Sequence[Manifest],
        *,
        seconds: float,
        until: Callable[[Manifest], Progress] = ready,
        said: Callable[[Ref, Progress], None] | None = None,
    ) -> tuple[Manifest, ...]:
        """Wait until all objects are as `until` wants them; the objects as they are then.

        `said` is told each time an object's progress changed. Raises BackendError at once for what failed for good,
        else after `seconds`, with the reason in words from the object, its pods and their events.
        """
        raise NotImplementedError

    def why(self, manifest: Manifest) -> str:
        """Why an object is not ready, in words, from itself, its pods and events; "" where nothing is known."""
        raise NotImplementedError

    def logs(
        self,
        pod: str,
        container: str = "",
        *,
        namespace: str = "",
        follow: bool = False,
        previous: bool = False,
        tail: int | None = None,
    ) -> Iterator[str]:
        """The lines of a container's log; with `follow` until it ends."""
        raise NotImplementedError

    def events(self, manifest: Manifest) -> tuple[Event, ...]:
        """What the cluster said of one object (of a Pod, a Deployment ...), the latest last."""
        raise NotImplementedError

    def can_i(self, verb: str, kind: str, *, namespace: str = "", group: str = "", name: str = "") -> bool:
        """Whether our account may do something: `can_i("create", "InferenceService", group="serving.kserve.io")`."""
        raise NotImplementedError

    def account(self) -> str:
        """Who we are to the cluster, such as `system:serviceaccount:dev:orchestrator-deployer`."""
        raise NotImplementedError
