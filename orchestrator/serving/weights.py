"""The shares of an endpoint's variants, changed while it is served."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.errors import NotFoundError, OrchestratorError, did_you_mean
from orchestrator.serving import declarations
from orchestrator.serving.declarations import Declaration
from orchestrator.stores import whole


def parse(said: Sequence[str]) -> dict[str, float]:
    """ "main=0.9" and the like, by variant. Raises OrchestratorError."""
    found: dict[str, float] = {}
    for each in said:
        name, sign, text = each.partition("=")
        try:
            weight = float(text)
        except ValueError:
            weight = math.nan
        if not sign or not name or not math.isfinite(weight) or weight < 0:
            raise OrchestratorError(f"{each!r} is not a variant and its weight", hint="for example main=0.9")
        if name in found:
            raise OrchestratorError(f"variant {name!r} is given two weights")
        found[name] = weight
    return found


def changed(declaration: Declaration, weights: Mapping[str, float]) -> Declaration:
    """The declaration with these weights; variants that are not named keep theirs. Raises OrchestratorError."""
    known = {variant.name: variant for variant in declaration.variants}
    for name, weight in weights.items():
        if name not in known:
            message = f"endpoint {declaration.name!r} has no variant {name!r}"
            raise OrchestratorError(message, hint=did_you_mean(name, known))
        if weight and known[name].shadow is not None:
            raise OrchestratorError(f"variant {name!r} is a shadow: it takes no share of the traffic")
    variants = tuple(
        variant.model_copy(update={"weight": weights.get(variant.name, variant.weight)})
        for variant in declaration.variants
    )
    if not sum(variant.weight for variant in variants) > 0:
        raise OrchestratorError("no variant would take any traffic", hint="give at least one a weight above 0")
    # The file says it, too: whoever deploys it again, or looks, sees the weights that are served.
    said = tuple(
        variant.model_copy(update={"weight": weights.get(variant.name, variant.weight)})
        for variant in declaration.spec.variants
    )
    spec = declaration.spec.model_copy(update={"variants": said})
    return declaration.model_copy(update={"variants": variants, "spec": spec})


def change(state: Path, name: str, weights: Mapping[str, float]) -> Declaration:
    """Declare an endpoint with these weights. Raises NotFoundError when it is not declared."""
    if declarations.read(state, name) is None:  # Before anything is locked: that would make the folder.
        raise NotFoundError("endpoint", name, known=declarations.names(state))
    with declarations.changing(state):
        declaration = declarations.read(state, name)
        if declaration is None:
            raise NotFoundError("endpoint", name)
        changed_one = changed(declaration, weights)
        whole.write(declarations.file(state, name), declarations.dump(changed_one))
    return changed_one


def shares(declaration: Declaration) -> dict[str, float]:
    """The part of the traffic that each variant takes, 0 to 1; shadows take none."""
    whole = sum(variant.weight for variant in declaration.variants)
    return {variant.name: variant.weight / whole for variant in declaration.variants if variant.shadow is None}
