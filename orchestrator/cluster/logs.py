"""The log of a container, line by line; one that is followed goes on when the connection was cut."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestrator.cluster import refusal
from orchestrator.cluster.api import Answer
from orchestrator.cluster.objects import Ref
from orchestrator.errors import BackendError

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster

_STARTING = ("ContainerCreating", "PodInitializing")


def lines(
    cluster: Cluster, pod: str, container: str, namespace: str, *, follow: bool, previous: bool, tail: int | None
) -> Iterator[str]:
    """The lines of a container's log."""
    query = {"timestamps": "true"}
    if container:
        query["container"] = container
    if follow:
        query["follow"] = "true"
    if previous:
        query["previous"] = "true"
    if tail is not None:
        query["tailLines"] = str(tail)
    path = cluster.catalogue.find("Pod", "").path(namespace, pod, "log")
    about, last, said_at_last = Ref("Pod", pod, namespace), "", 0
    while True:
        try:
            repeated, since = said_at_last, {**query, **({"sinceTime": last} if last else {})}
            for line in _opened(cluster, path, since, about, follow=follow):
                at, _, text = line.partition(" ")
                if last and at < last:
                    continue
                if at == last and repeated:  # The seconds of `sinceTime` are told again.
                    repeated -= 1
                    continue
                said_at_last = said_at_last + 1 if at == last else 1
                last = at
                yield text
        except refusal.RefusedError:
            raise
        except BackendError:
            if not follow or not _answers(cluster):
                raise
            query.pop("tailLines", None)
            continue
        return


def _opened(cluster: Cluster, path: str, query: dict[str, str], about: Ref, *, follow: bool) -> Iterator[str]:
    while True:
        got = cluster.api.lines(path, query)
        if not isinstance(got, Answer):
            return got
        text = str(got.data.get("message", ""))
        if not follow or got.code != 400 or not any(word in text for word in _STARTING):
            raise refusal.refused(got, verb="read the log of", who=cluster.api.who, about=about)
        time.sleep(1.0)


def _answers(cluster: Cluster) -> bool:
    """Whether the server is there, or comes back within the patience of a request."""
    return cluster.api.request("GET", "/version").is_good
