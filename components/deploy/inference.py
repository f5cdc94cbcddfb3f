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

from components.deploy.deploy import Deployed, complain
from orchestrator.cluster import Cluster, Progress
from orchestrator.deployment.rollouts import Rollouts
from orchestrator.errors import BackendError, OrchestratorError, RunError
from orchestrator.model import manifest
from orchestrator.serving import local
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.kserve import objects, payload, proof, rollout
from orchestrator.serving.kserve.objects import Manifest, Place
from orchestrator.serving.local import Answer

SECONDS = 600.0
"""How long replicas may take to be ready: an image to be pulled, a machine to be added."""
# A Service follows its pods by a moment.
_ROUTED_SECONDS = 30.0
_RESTORE_SECONDS = 60.0
# For what does not mend itself, such as an image that does not exist.
_STUCK_SECONDS = 30.0

Say = Callable[[str], None]


@dataclass(slots=True)
class Deployment:
    """One deployment of one endpoint, under way."""

    declaration: Declaration
    cluster: Cluster
    place: Place
    say: Say
    seconds: float = SECONDS
    was_applied: bool = False

    def deploy(self) -> Deployed:
        """Serve the declaration. Raises RunError with what was put back."""
        service = objects.inference_service(self.declaration, self.place)
        live = self._live()
        if live is not None and not objects.is_ours(live):
            message = f"there is an InferenceService {self.name!r} in {self.place.namespace} that was not made here"
            raise OrchestratorError(message, hint="give the endpoint another name, or delete that one first")
        previous = proof.previous(live)
        try:
            self.cluster.apply([proof.prepared(service, previous, live)], force=True)
            self.was_applied = True
            self.say(f"InferenceService {self.name} in {self.place.namespace}: applied")
            url = self._ready(service)
            answer = self._asked(url)
            self._prove(service)
        except OrchestratorError as error:
            message = f"not deployed to endpoint {self.name!r}: {error.message}; {self._restore(service, previous)}"
            raise RunError(message, hint=error.hint) from error
        except BaseException:  # Cancelled: what nothing has proved must not stay, and nobody waits for what was before.
            self.say(self._restore(service, previous, wait=False))
            raise
        bare = tuple(each.model_copy(update={"path": ""}) for each in self.declaration.variants)
        found = {"url": f"{url}/v1/models/{self.name}", "variants": bare}
        return Deployed(self.declaration.model_copy(update=found), answer)

    @property
    def name(self) -> str:
        return self.declaration.name

    def _live(self) -> Manifest | None:
        return self.cluster.get(objects.KIND, self.name, self.place.namespace, group=objects.GROUP)

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
            answers.append(local.send_example(self.declaration, url, variant=variant.name))
            complain(answers[-1].response, manifest.read(Path(variant.path)).classes)
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
        if live is None or objects.mark(live) != objects.mark(service):
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
