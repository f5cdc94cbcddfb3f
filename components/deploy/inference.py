"""Put a declaration into service on a cluster, prove it by real requests, and put back what was there when that fails.

Whatever happens to this program, the object in the cluster says what had proved itself before (`kserve.proof`), so that
the next deployment starts from there.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.deploy.canaries import Canaries
from components.deploy.deploy import Deployed, Say, judge, roll_out, silent
from orchestrator.cluster import Cluster, Progress
from orchestrator.deployment.rollouts import Rollouts
from orchestrator.errors import BackendError, OrchestratorError, RunError
from orchestrator.serving import local
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.kserve import canary, manifests, objects, payload, proof, rollout
from orchestrator.serving.kserve.objects import Manifest, Place
from orchestrator.serving.local import Answer
from orchestrator.serving.rollout.plan import Plan

SECONDS = 600.0
"""How long replicas may take to be ready: an image to be pulled, a machine to be added."""
# A Service follows its pods by a moment.
_ROUTED_SECONDS = 30.0
_RESTORE_SECONDS = 60.0
# For what does not mend itself, such as an image that does not exist.
_STUCK_SECONDS = 30.0


@dataclass(slots=True)
class Deployment:
    """One deployment of one endpoint, under way."""

    declaration: Declaration
    cluster: Cluster
    place: Place
    say: Say
    seconds: float = SECONDS
    progress: Callable[[float, float, str], None] = silent
    was_applied: bool = False
    _url: str = ""
    _answer: Answer | None = None

    def deploy(self) -> Deployed:
        """Serve the declaration. Raises RunError with what was put back."""
        service = objects.inference_service(self.declaration, self.place)
        live = self._live()
        if live is not None and not objects.is_ours(live):
            message = f"there is an InferenceService {self.name!r} in {self.place.namespace} that was not made here"
            raise OrchestratorError(message, hint="give the endpoint another name, or delete that one first")
        previous = proof.previous(live)
        traffic = Canaries(
            self.cluster,
            self.declaration,
            previous,
            service,
            apply=lambda canaried: self._put(canaried, service),
            whole=lambda: self._whole(service, previous),
            prove=self._asked,
        )
        try:
            stages = roll_out(traffic, self._plan(service, previous), self.declaration, self.say, self.progress)
            self._prove(service)
        except OrchestratorError as error:
            message = f"not deployed to endpoint {self.name!r}: {error.message}; {self._restore(service, previous)}"
            raise RunError(message, hint=error.hint) from error
        except BaseException:  # Cancelled: what nothing has proved must not stay, and nobody waits for what was before.
            self.say(self._restore(service, previous, wait=False))
            raise
        bare = tuple(each.model_copy(update={"path": ""}) for each in self.declaration.variants)
        found = {"url": f"{self._url}/v1/models/{self.name}", "variants": bare}
        return Deployed(self.declaration.model_copy(update=found), self._answer or self._asked(self._url), stages)

    @property
    def name(self) -> str:
        return self.declaration.name

    def _live(self) -> Manifest | None:
        return self.cluster.get(objects.KIND, self.name, self.place.namespace, group=objects.GROUP)

    def _plan(self, service: Manifest, previous: Manifest | None) -> Plan:
        """The plan of the file; all at once where no new version stands beside an old one."""
        plan = Plan.of(self.declaration.spec.rollout)
        if previous is not None and objects.mark(previous) != objects.mark(service):
            return plan
        if plan.is_by_shares:
            why = "the same versions are served already" if previous else "nothing was served before"
            self.say(f"no {plan.strategy}: {why}")
        return Plan()

    def _put(self, canaried: Manifest, service: Manifest) -> None:
        """Put replicas of the new version beside those that are served, with a share of their requests."""
        self.cluster.apply([canaried], force=True)
        self.was_applied = True
        self.say(f"InferenceService {self.name}: a canary with {canary.share(canaried)} % of the requests")
        self._ready(service)

    def _whole(self, service: Manifest, previous: Manifest | None) -> None:
        """Put the new version in place, and prove it there."""
        if disks := manifests.claims(self.declaration, self.place):
            self.cluster.apply(disks)
        self.cluster.apply([proof.prepared(service, previous, self._live())], force=True)
        self.was_applied = True
        self.say(f"InferenceService {self.name} in {self.place.namespace}: applied")
        self._url = self._ready(service)
        self._answer = self._asked(self._url)

    def _ready(self, service: Manifest) -> str:
        """Wait until every replica is of this declaration; where the endpoint answers."""

        def said(_: Any, now: Progress) -> None:
            if now.text:
                self.say(f"waiting: {now.text}")

        stuck = min(_STUCK_SECONDS, self.seconds / 4)
        until = Rollouts(self.cluster, objects.mark(service))
        (live,) = self.cluster.wait([service], seconds=self.seconds, until=until, said=said, stuck=stuck)
        return rollout.url(live, self.name, self.place.namespace)

    def _asked(self, url: str) -> Answer:
        """The answers that prove it: the right versions, and from each variant a prediction that makes sense."""
        _until_served(url, self.declaration)
        answers: list[Answer] = []
        for variant in self.declaration.variants:
            # What the pods write is perhaps not for us to read.
            asked = local.send_example(self.declaration, url, variant=variant.name, through_queue=False)
            answers.append(asked)
            judge(answers[-1], Path(variant.path))
        return answers[-1]

    def _prove(self, service: Manifest) -> None:
        self.cluster.apply([proof.claim(service)], manager=proof.manager(service))
        with contextlib.suppress(BackendError):  # What is proved no more only takes up room.
            for manager in proof.outdated(self._live() or service):
                self.cluster.apply([proof.claim(service, held=False)], manager=manager)

    def _restore(self, service: Manifest, previous: Manifest | None, *, wait: bool = True) -> str:
        """Put the previous object back, or none; says which."""
        try:
            return self._put_back(service, previous, wait=wait)
        except BackendError as error:
            return f"what was there before could not be put back ({error.message}); the next deployment does that"

    def _put_back(self, service: Manifest, previous: Manifest | None, *, wait: bool) -> str:
        live = self._live()
        if live is None or objects.mark(service) not in (objects.mark(live), canary.mark(live)):
            changed = "somebody else changed it meanwhile, and it is left as it is"
            return changed if self.was_applied else "nothing was changed"
        if previous is None:
            self.cluster.delete([service], seconds=_RESTORE_SECONDS if wait else 0)
            return "nothing is served under that name"
        self.cluster.apply([previous], force=True)
        if wait:
            with contextlib.suppress(BackendError):
                until = Rollouts(self.cluster, objects.mark(previous))
                self.cluster.wait([previous], seconds=_RESTORE_SECONDS, until=until)
        return f"{_versions(previous)} is served as before"


def _until_served(url: str, declaration: Declaration) -> None:
    """Wait until requests arrive at a server of this declaration. Raises BackendError."""
    wanted = [_told(each.model_dump(mode="json")) for each in declaration.variants]
    deadline = time.monotonic() + _ROUTED_SECONDS
    while True:
        try:
            about = local.served(url).get(declaration.name, {})
        except BackendError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
            continue
        found = [_told(each) for each in about.get("variants", ())]
        if found == wanted:
            return
        if time.monotonic() > deadline:
            raise BackendError("model server", f"{url} serves {found or 'no such endpoint'}, not what was deployed")
        time.sleep(0.5)


def _told(variant: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(variant.get(key) for key in ("name", "model", "version", "digest", "weight"))


def _versions(service: Manifest) -> str:
    """What an InferenceService of ours serves, in words."""
    try:
        variables = service["spec"]["predictor"]["model"]["env"]
        text = next(each["value"] for each in variables if each["name"] == payload.VARIABLE)
        variants = payload.load(text).variants
    except (KeyError, StopIteration, json.JSONDecodeError, OrchestratorError):
        return "the declaration before"
    return ", ".join(f"{each.model} version {each.version}" for each in variants)
