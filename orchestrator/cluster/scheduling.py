"""Which node lacks what a pod asks for, in words: pure, from the scheduler's message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.cluster.objects import Manifest

UNTOLERATED = "taints that it does not tolerate"


def unschedulable(message: str, pod: Manifest) -> str:
    """What no node has that a pod wants, in words."""
    text = (
        " ".join(message.split()).partition(" preemption:")[0].replace("no new claims to deallocate,", "").rstrip(". ")
    )
    if claim := re.search(r'persistentvolumeclaim "([^"]*)" not found', text):
        return f"its volume claim {claim[1]} does not exist"
    if "unbound immediate PersistentVolumeClaims" in text:
        return "no volume is bound to one of its claims"
    if "no nodes available" in text:
        return "no node can take it: the cluster has no node that is ready"
    counted = re.match(r"0/(\d+) nodes are available: (.*)", text)
    if counted is None:
        return f"no node can take it: {text}"
    parts = [_lack(part, pod) for part in re.split(r", (?=\d+ )", counted[2])]
    return f"none of {_nodes(int(counted[1]))} can take it: {'; '.join(parts)}"


def untolerated(pod: Manifest, nodes: Iterable[Manifest]) -> list[str]:
    """The taints of nodes that keep a pod away: newer schedulers only count them."""
    tolerations = (pod.get("spec") or {}).get("tolerations") or ()
    taints = [each for node in nodes for each in (node.get("spec") or {}).get("taints") or ()]
    kept = [each for each in taints if not any(_tolerates(toleration, each) for toleration in tolerations)]
    hard = [each for each in kept if each.get("effect") != "PreferNoSchedule"]
    return sorted({f"{each.get('key')}={each.get('value', '')}".rstrip("=") for each in hard})


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint.get("key"))
    return toleration.get("key") == taint.get("key") and toleration.get("value", "") == taint.get("value", "")


def _lack(part: str, pod: Manifest) -> str:
    found = re.match(r"(\d+) (.*)", part)
    if found is None:
        return part
    count, text = found[1], found[2].rstrip(".")
    if short := re.match(r"Insufficient (\S+)", text):
        asked = _asked(pod, short[1])
        return f"{_verb(count, 'lacks', 'lack')} {short[1]}" + (f" (it asks for {asked})" if asked else "")
    if taint := re.search(r"untolerated taint(?:\(s\))? \{([^:}]*): ?([^}]*)\}", text):
        shown = f"{taint[1]}={taint[2]}".rstrip("=")
        return f"{_verb(count, 'has', 'have')} the taint {shown}, which it does not tolerate"
    if "untolerated taint" in text:
        return f"{_verb(count, 'has', 'have')} {UNTOLERATED}"
    if "didn't match Pod's node affinity/selector" in text:
        wanted = (pod.get("spec") or {}).get("nodeSelector") or {}
        labels = ", ".join(f"{key}={value}" for key, value in wanted.items())
        return f"{_verb(count, 'does', 'do')} not have the labels it asks for" + (f" ({labels})" if labels else "")
    if "unschedulable" in text:
        return f"{_verb(count, 'takes', 'take')} no new pods"
    return f"{count}: {text}"


def _verb(count: str, one: str, more: str) -> str:
    return f"{count} {one if count == '1' else more}"


def _asked(pod: Manifest, resource: str) -> str:
    amounts = [
        str((each.get("resources") or {}).get("requests", {}).get(resource, ""))
        for each in (pod.get("spec") or {}).get("containers") or ()
    ]
    return " + ".join(amount for amount in amounts if amount)


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"
