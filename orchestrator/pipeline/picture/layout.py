"""Where everything goes: boxes in layers, crossings few, long edges led around what they pass.

The classic method of Sugiyama: layers by longest path, a place in every layer for an edge that passes through it,
order by the mean place of neighbours swept down and up, and positions pulled towards neighbours.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from orchestrator.pipeline import graph
from orchestrator.pipeline.picture.boxes import Box

GAP_X, GAP_Y, PAD, HEAD = 28.0, 46.0, 18.0, 30.0
_SWEEPS = 12
_ROW = 5
_LETTER = 7.1


@dataclass(frozen=True, slots=True)
class Placed:
    """A box with its place, relative to the frame it is in; edges are lists of points."""

    box: Box
    x: float
    y: float
    width: float
    height: float
    inside: tuple[Placed, ...] = ()
    edges: tuple[tuple[tuple[tuple[float, float], ...], bool], ...] = ()


@dataclass(slots=True)
class _Node:
    """A box, or the place an edge passes through a layer."""

    name: str
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0


def place(box: Box) -> Placed:
    """A box and all inside it."""
    if not box.inside:
        width = max(len(box.title) * _LETTER * 1.08, len(box.note) * _LETTER * 0.86) + 44
        return Placed(box, 0, 0, max(132.0, width), 52.0 if box.note else 40.0)
    inner = {each.name: place(each) for each in box.inside}
    layers, chains = _layers(box, inner)
    _arrange(layers, chains)
    width, height = _settle(layers, {name for edge in box.needs for name in edge})
    least = len(box.title) * _LETTER + 36
    shift = max(0.0, (least - width - 2 * PAD) / 2) + PAD
    nodes = {node.name: node for layer in layers for node in layer}
    placed = tuple(
        Placed(each.box, nodes[name].x + shift, nodes[name].y + HEAD, each.width, each.height, each.inside, each.edges)
        for name, each in inner.items()
    )
    edges = tuple(
        (tuple((x + shift, y + HEAD) for x, y in _points([nodes[name] for name in chain])), box.needs[edge])
        for edge, chain in chains.items()
    )
    return Placed(box, 0, 0, max(width + 2 * PAD, least), height + HEAD + PAD, placed, edges)


def _layers(box: Box, inner: dict[str, Placed]) -> tuple[list[list[_Node]], dict[tuple[str, str], list[str]]]:
    """Nodes by layer, and for every edge the nodes it goes through."""
    needs: dict[str, set[str]] = {name: set() for name in inner}
    for producer, consumer in box.needs:
        needs[consumer].add(producer)
    last = [name for name in inner if inner[name].box.kind == "finally"]
    joined = {name for edge in box.needs for name in edge}
    alone = [name for name in sorted(inner) if name not in joined and name not in last]
    names = graph.layers({name: found for name, found in needs.items() if name in joined})
    # Tasks nothing is joined to go in rows of their own: in one row many would make the picture too wide to read.
    names += [alone[start : start + _ROW] for start in range(0, len(alone), _ROW)]
    layers = [[_Node(name, inner[name].width, inner[name].height) for name in layer] for layer in names]
    layers.extend([_Node(name, inner[name].width, inner[name].height)] for name in last)
    depth = {node.name: level for level, layer in enumerate(layers) for node in layer}
    chains: dict[tuple[str, str], list[str]] = {}
    for producer, consumer in sorted(box.needs):
        chain = [producer]
        for level in range(depth[producer] + 1, depth[consumer]):
            passing = _Node(f"{producer}\0{consumer}\0{level}", 6.0, 0.0)
            layers[level].append(passing)
            chain.append(passing.name)
        chains[producer, consumer] = [*chain, consumer]
    return layers, chains


def _arrange(layers: list[list[_Node]], chains: dict[tuple[str, str], list[str]]) -> None:
    """Order every layer, then pull its nodes towards the middle of their neighbours."""
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for chain in chains.values():
        for upper, lower in itertools.pairwise(chain):
            below.setdefault(upper, []).append(lower)
            above.setdefault(lower, []).append(upper)
    nodes = {node.name: node for layer in layers for node in layer}
    for layer in layers:
        _spread(layer, [])
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            neighbours = above if down else below
            wished = [_middle(node, neighbours.get(node.name, []), nodes) for node in layer]
            if sweep < _SWEEPS - 4:
                ordered = sorted(zip(wished, range(len(layer)), strict=True))
                layer[:] = [layer[index] for _, index in ordered]
                wished = [wish for wish, _ in ordered]
            _spread(layer, wished)


def _middle(node: _Node, names: list[str], nodes: dict[str, _Node]) -> float:
    if not names:
        return node.x + node.width / 2
    centres = sorted(nodes[name].x + nodes[name].width / 2 for name in names)
    half = len(centres) // 2
    return centres[half] if len(centres) % 2 else (centres[half - 1] + centres[half]) / 2


def _spread(layer: list[_Node], wished: list[float]) -> None:
    """Give each node a place near its wish, none on another: those that collide share their wishes' mean."""
    wished = wished or [0.0] * len(layer)
    blocks: list[tuple[float, float, list[_Node]]] = []  # Left edge wished for, width, nodes.
    for node, wish in zip(layer, wished, strict=True):
        left, width, members = wish - node.width / 2, node.width, [node]
        while blocks and blocks[-1][0] + blocks[-1][1] + GAP_X > left:
            before_left, before_width, before = blocks.pop()
            offset = before_width + GAP_X
            count = len(before) + len(members)
            left = (before_left * len(before) + (left - offset) * len(members)) / count
            width, members = offset + width, before + members
        blocks.append((left, width, members))
    for left, _, members in blocks:
        x = left
        for node in members:
            node.x = x
            x += node.width + GAP_X


def _settle(layers: list[list[_Node]], joined: set[str]) -> tuple[float, float]:
    """Move everything to the origin, stack the layers, and centre those nothing is joined to; returns its size."""
    free = [layer for layer in layers if joined.isdisjoint(node.name for node in layer)]
    middle = _centre([node for layer in layers if layer not in free for node in layer])
    for layer in free:
        shift = middle - _centre(layer)
        for node in layer:
            node.x += shift
    left = min((node.x for layer in layers for node in layer), default=0.0)
    right = y = 0.0
    for layer in layers:
        tallest = max(node.height for node in layer)
        for node in layer:
            node.x -= left
            node.y = y
            # An edge passes a layer straight, from its top to its bottom, however tall the boxes beside it are.
            node.height = node.height or tallest
            right = max(right, node.x + node.width)
        y += tallest + GAP_Y
    return right, y - GAP_Y


def _centre(nodes: list[_Node]) -> float:
    if not nodes:
        return 0.0
    return (min(node.x for node in nodes) + max(node.x + node.width for node in nodes)) / 2


def _points(chain: list[_Node]) -> list[tuple[float, float]]:
    first, *passing, last = chain
    points = [(first.x + first.width / 2, first.y + first.height)]
    for node in passing:
        middle = node.x + node.width / 2
        points += [(middle, node.y), (middle, node.y + node.height)]
    return [*points, (last.x + last.width / 2, last.y)]
