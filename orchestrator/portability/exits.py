"""Tasks that run whatever came of those before them: a server hangs each, as a hook, on the tasks it waits for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from orchestrator.ir.spec import COMPLETED, Task
from orchestrator.portability.subject import Found, Pointer, Subject, Use


def never(subject: Subject) -> Iterator[Found]:
    """One that waits for nothing."""
    for use in _exits(subject):
        if not _before(use.task):
            yield Found(use.at("triggerPolicy", "strategy"), use, "after")


def several(subject: Subject) -> Iterator[Found]:
    """One that waits for several tasks."""
    for use in _exits(subject):
        before = _before(use.task)
        if len(before) > 1:
            yield Found(use.at("triggerPolicy", "strategy"), use, "after", str(len(before)))


def shadowed(subject: Subject) -> Iterator[Found]:
    """Those that wait for a task for which another waits, too: the last by name is the one that runs."""
    hooks: dict[tuple[Pointer, str], list[Use]] = defaultdict(list)
    for use in _exits(subject):
        for before in _before(use.task):
            hooks[(use.pointer[:-1], before)].append(use)
    for (_, before), uses in hooks.items():
        for use in sorted(uses, key=lambda each: str(each.pointer[-1]))[:-1]:
            yield Found(use.at("triggerPolicy", "strategy"), use, "after", before)


def _exits(subject: Subject) -> Iterator[Use]:
    for use in subject.uses:
        if use.task.trigger_policy and use.task.trigger_policy.strategy == COMPLETED:
            yield use


def _before(task: Task) -> set[str]:
    """The tasks it waits for."""
    found = set(task.dependent_tasks)
    for parameter in task.inputs.parameters.values():
        for source in (parameter.task_output_parameter, parameter.task_final_status):
            found |= {source.producer_task} if source else set()
    for artifact in task.inputs.artifacts.values():
        if artifact.task_output_artifact:
            found.add(artifact.task_output_artifact.producer_task)
    return found
