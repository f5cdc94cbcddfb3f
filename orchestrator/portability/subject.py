"""A pipeline taken apart for the rules: every use of a component, every executor, with the way to each in the IR."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from orchestrator.ir import groups
from orchestrator.ir.platform import KubernetesExecutor, OrchestratorExecutor, PipelineConfig, PlatformSpec
from orchestrator.ir.spec import Component, Container, Dag, Executor, PipelineSpec, Task

Pointer = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """A task, where it stands, and what it is made of."""

    path: str
    name: str
    """As a person knows it; of a group a compiler added, the name of the first task inside."""
    pointer: Pointer
    task: Task
    component: Component
    executor: Executor | None
    kubernetes: KubernetesExecutor
    own: OrchestratorExecutor

    @property
    def container(self) -> Container | None:
        """The container, if it is one."""
        return self.executor.container if self.executor else None

    @property
    def words(self) -> tuple[str, ...]:
        """The command line before anything is filled in."""
        return (*self.container.command, *self.container.args) if self.container else ()

    def at(self, *more: str | int) -> Pointer:
        """The place of something said at the task."""
        return (*self.pointer, *more)

    def inside(self, *more: str | int) -> Pointer:
        """The place of something said by its executor."""
        return ("deploymentSpec", "executors", self.component.executor_label, *more)

    def beside(self, *more: str | int, platform: str = "kubernetes") -> Pointer:
        """The place of something said in the platform document."""
        return ("platforms", platform, "deploymentSpec", "executors", self.component.executor_label, *more)


@dataclass(frozen=True, slots=True)
class Found:
    """Something a rule looks for."""

    pointer: Pointer
    """Where it is said in the IR; what begins with `platforms` is in the second document."""
    use: Use | None = None
    key: str = ""
    """The key of a task in a pipeline file that says it, e.g. `foreach`."""
    detail: str = ""
    """What fills the `{}` in the words of the rule."""


@dataclass(frozen=True)
class Subject:
    """A pipeline and its platform document."""

    pipeline: PipelineSpec
    platform: PlatformSpec

    @cached_property
    def uses(self) -> tuple[Use, ...]:
        """Every task, those inside groups and nested pipelines too."""
        root = self.pipeline.root
        return tuple(self._uses(root.dag, "", (), ("root",))) if root.dag else ()

    @property
    def config(self) -> PipelineConfig | None:
        """The settings of the whole run."""
        kubernetes = self.platform.platforms.kubernetes
        return kubernetes.pipeline_config if kubernetes else None

    def _uses(self, dag: Dag, prefix: str, names: tuple[str, ...], pointer: Pointer) -> Iterator[Use]:
        kubernetes = self.platform.platforms.kubernetes
        own = self.platform.platforms.orchestrator
        for key, task in dag.tasks.items():
            component = self.pipeline.components.get(task.component_ref.name)
            if component is None:
                continue
            is_group = groups.kind(key, component) != ""
            shown = names if is_group else (*names, task.task_info.name or key)
            label = component.executor_label
            yield Use(
                prefix + key,
                "/".join((*names, self._first(component)) if is_group else shown),
                (*pointer, "dag", "tasks", key),
                task,
                component,
                self.pipeline.deployment_spec.executors.get(label),
                (kubernetes.deployment_spec.executors.get(label) if kubernetes else None) or KubernetesExecutor(),
                (own.deployment_spec.executors.get(label) if own else None) or OrchestratorExecutor(),
            )
            if component.dag:
                place = ("components", task.component_ref.name)
                yield from self._uses(component.dag, f"{prefix}{key}/", shown, place)

    def _first(self, component: Component) -> str:
        while component.dag and component.dag.tasks:
            key, task = next(iter(component.dag.tasks.items()))
            inner = self.pipeline.components.get(task.component_ref.name)
            if inner is None or inner.dag is None:
                return task.task_info.name or key
            component = inner
        return ""
