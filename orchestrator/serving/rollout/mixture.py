"""Two declarations of an endpoint side by side: what a server is told while a new version has a part of the traffic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.serving.declarations import Declaration, Variant

_LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class Mixture:
    """What to declare, and the names under which what is new answers in it."""

    declaration: Declaration
    new: tuple[str, ...]


def new_variants(before: Declaration | None, after: Declaration) -> tuple[Variant, ...]:
    """The variants of `after` that are to take traffic and are not served as such already."""
    known = {variant.name: variant for variant in before.variants} if before else {}
    return tuple(each for each in after.variants if each.weight and not _is_kept(known.get(each.name), each))


def mix(before: Declaration, after: Declaration, percent: int) -> Mixture:
    """`percent` of the traffic goes where `after` says, the rest where `before` does.

    What answers already keeps its place and its name, so that neither a sticky client nor one who asks for a variant by
    name is moved without need. At 100 % it is `after` itself.
    """
    new = [each.name for each in new_variants(before, after)]
    if percent >= 100:
        return Mixture(after, tuple(new))
    names = _interim_names(before, after)
    told = after.model_copy(update={"variants": tuple(_mixed(before, after, percent / 100, names))})
    return Mixture(told, tuple(names[name] for name in new))


def _mixed(before: Declaration, after: Declaration, share: float, names: dict[str, str]) -> Iterator[Variant]:
    kept = {each.name: each for each in after.variants if names[each.name] == each.name}
    old_sum = sum(each.weight for each in before.variants)
    new_sum = sum(each.weight for each in after.variants)
    for old in before.variants:
        if old.shadow is not None:
            continue
        weight = (1 - share) * old.weight / old_sum
        if old.name in kept:
            weight += share * kept[old.name].weight / new_sum
        yield old.model_copy(update={"weight": round(weight, 9)})
    ours = {each.name for each in before.variants if each.shadow is None}
    for each in after.variants:
        name = names[each.name]
        if name not in ours:
            yield each.model_copy(update={"name": name, "weight": round(share * each.weight / new_sum, 9)})


def _interim_names(before: Declaration, after: Declaration) -> dict[str, str]:
    """Per variant of `after` its name beside those of `before`: its own, unless that is another's."""
    old = {each.name: each for each in before.variants if each.shadow is None}
    taken = {*old, *(each.name for each in after.variants)}
    names: dict[str, str] = {}
    for each in after.variants:
        name = each.name
        if name in old and not _is_kept(old[name], each):
            name = _free(f"{name[: _LONGEST_NAME - 8]}-next", taken)
            taken.add(name)
        names[each.name] = name
    return names


def _free(name: str, taken: set[str]) -> str:
    numbered = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
    return next(each for each in numbered if each not in taken)


def _is_kept(old: Variant | None, new: Variant) -> bool:
    """Whether a variant goes on answering as it does: the same model in the same form, and no shadow that becomes one
    of those that answer, nor the other way about."""
    return (
        old is not None
        and (old.model, old.version, old.digest, old.format) == (new.model, new.version, new.digest, new.format)
        and (old.shadow is None) == (new.shadow is None)
    )
