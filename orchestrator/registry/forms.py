"""Other forms of a version that are kept with it: what its tags say of them, and where they lie."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.registry.shelf import Kept
from orchestrator.registry.version import OnnxForm

DIGEST, GATE = "onnx.digest", "onnx.gate"


def kept(name: str, digest: str, run: str) -> Kept:
    """Where a form lies: beside the models, or among the run's artifacts under a name that no other form has."""
    return Kept(name, digest, run, f"onnx-{digest[:16]}")


def tags(digest: str, gate: Mapping[str, Any]) -> dict[str, str]:
    """What a version says of its ONNX form; the digest last, which is what makes it count."""
    return {GATE: json.dumps(dict(gate), sort_keys=True), DIGEST: digest}


def read(tags: Mapping[str, str], locate: Callable[[str], Path]) -> OnnxForm | None:
    """The ONNX form that the tags of a version speak of."""
    if GATE not in tags:
        return None
    try:
        gate = json.loads(tags[GATE])
    except ValueError:  # Somebody else wrote it: then it says nothing.
        return None
    digest = tags.get(DIGEST, "")
    return OnnxForm(digest, gate if isinstance(gate, dict) else {}, partial(locate, digest))
