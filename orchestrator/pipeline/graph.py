"""The tasks of a pipeline as a graph: an edge runs from a task to what needs it."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping

Needs = Mapping[str, Iterable[str]]


def order(needs: Needs) -> tuple[str, ...]:
    """The tasks so that each follows what it needs; of those ready together, the first by name goes first.

    Raises graphlib.CycleError. Names decide, not the order of the file: goldens and numbering depend on it.
    """
    sorter = graphlib.TopologicalSorter({name: sorted(needs[name]) for name in sorted(needs)})
    sorter.prepare()
    result: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        result.extend(ready)
        sorter.done(*ready)
    return tuple(result)


def cycles(needs: Needs) -> list[tuple[str, ...]]:
    """One cycle of every knot of tasks that need each other, beginning with its first by name."""
    try:
        order(needs)
    except graphlib.CycleError:
        return _cycles(needs)
    return []


def _cycles(needs: Needs) -> list[tuple[str, ...]]:
    # Imported here because it takes 0.1 s, and only a broken pipeline needs it.
    import networkx

    whole = networkx.DiGraph([(name, need) for name in sorted(needs) for need in sorted(needs[name])])
    found: list[tuple[str, ...]] = []
    for knot in networkx.strongly_connected_components(whole):
        start = min(knot)
        if len(knot) == 1 and not whole.has_edge(start, start):
            continue
        inner = whole.subgraph(knot)
        if inner.has_edge(start, start):
            found.append((start,))
            continue
        back = min((networkx.shortest_path(inner, after, start) for after in sorted(inner[start])), key=len)
        found.append((start, *back[:-1]))
    return sorted(found)


def layers(needs: Needs) -> list[list[str]]:
    """The tasks by the length of the longest way to them, as a picture shows them."""
    depth: dict[str, int] = {}
    for name in order(needs):
        depth[name] = 1 + max((depth[need] for need in needs[name]), default=-1)
    result: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name, level in depth.items():
        result[level].append(name)
    return result


def joined(sets: Iterable[Iterable[str]]) -> list[tuple[str, ...]]:
    """Sets that share a member become one; each sorted, all sorted."""
    home: dict[str, set[str]] = {}
    for each in sets:
        members = set(each)
        for name in list(members):
            members |= home.get(name, set())
        for name in members:
            home[name] = members
    unique = {id(members): tuple(sorted(members)) for members in home.values()}
    return sorted(unique.values())


def contracted(needs: Needs, groups: Iterable[tuple[str, ...]]) -> dict[str, set[str]]:
    """The graph with each group's members made one task, named as its first."""
    head = {name: group[0] for group in groups for name in group}
    result: dict[str, set[str]] = {}
    for name in needs:
        own = head.get(name, name)
        found = result.setdefault(own, set())
        found.update(head.get(need, need) for need in needs[name])
        found.discard(own)
    return result
