"""The remarks on a pipeline: for each target, what it has no word for, where that is said, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.portability.rule import RULES, Rule
from orchestrator.portability.subject import Found, Subject
from orchestrator.portability.target import Target


@dataclass(frozen=True, slots=True)
class Remark:
    """A rule that found something: one for each place that says it."""

    target: Target
    rule: Rule
    found: Found
    tasks: tuple[str, ...] = ()
    """The tasks it is about; none when it is about the pipeline."""
    details: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """The words."""
        return self._filled(self.rule.what)

    @property
    def do(self) -> str:
        """What to do about it."""
        return self._filled(self.rule.do)

    def _filled(self, text: str) -> str:
        return text.replace("{!r}", ", ".join(map(repr, self.details))).replace("{}", ", ".join(self.details))


def remarks(
    pipeline: PipelineSpec, platform: PlatformSpec, targets: Iterable[Target], rules: Sequence[Rule] = RULES
) -> list[Remark]:
    """All remarks, by target and in the order of the table."""
    subject = Subject(pipeline, platform)
    cached = {id(rule): tuple(rule.find(subject)) for rule in rules}
    found: list[Remark] = []
    for target in targets:
        for rule in rules:
            if rule.holds(target):
                found += _merged(target, rule, cached[id(rule)])
    return found


def _merged(target: Target, rule: Rule, found: Iterable[Found]) -> list[Remark]:
    """What one executor says is one remark, however often it says it and however many tasks share it."""
    merged: dict[object, list[Found]] = {}
    for each in found:
        shared = each.use.component.executor_label if each.use else ""
        merged.setdefault(shared or each.pointer, []).append(each)
    return [
        Remark(
            target,
            rule,
            listed[0],
            tuple(dict.fromkeys(each.use.name for each in listed if each.use)),
            tuple(dict.fromkeys(each.detail for each in listed if each.detail)),
        )
        for listed in merged.values()
    ]
