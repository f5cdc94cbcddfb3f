"""Who runs next: opens groups and loops as tasks end, and says what a task does whose upstream tasks have ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.errors import RunError
from orchestrator.runners.events import Event, Status, TaskFinished
from orchestrator.runners.local import deadline, graph, inputs
from orchestrator.runners.local.execution import Execution
from orchestrator.runners.local.watch import Watch
from orchestrator.runners.local.work import Work
from orchestrator.stores.metadata import CacheEntry

if TYPE_CHECKING:
    from orchestrator.runners.local.runner import Request


class Schedule:
    """A run in progress. One thread; `events` yields what happens until the root has ended."""

    def __init__(
        self,
        request: Request,
        cached: Callable[[str], CacheEntry | None],
        watch: Watch,
        clock: Callable[[], float],
        names: Mapping[str, str],
    ) -> None:
        self.request = request
        self.watch = watch
        self.clock = clock
        self.names = names
        self._todo: deque[Callable[[], None]] = deque()
        self._events: deque[Event] = deque()
        self.execution = Execution(
            request, cached, watch, clock, names, tell=self._events.append, end=self._end, reopen=self._open
        )
        self._cancelling = 0
        self._deadline = deadline.of(request.platform, clock())
        self.late = ""
        """Why the run was stopped, if its time was over."""

    def events(self, root: Work) -> Iterator[Event]:
        """Everything that happens until the root has ended."""
        self._open(root)
        while True:
            while self._todo:
                self._todo.popleft()()
                # Handed over one by one: what is told is recorded before anything else is done.
                yield from self._told()
            self.execution.programs.launch()
            yield from self._told()
            if self._todo:
                continue
            if root.status.final:
                return
            self.watch.wait(self._pause())
            if self.watch.interrupts > self._cancelling:
                self._cancelling = min(self.watch.interrupts, 2)
                self.execution.programs.cancel(at_once=self._cancelling > 1)
            self._enforce(root)
            self.execution.programs.reap()
            yield from self._told()

    def _pause(self) -> float | None:
        """Seconds until something has to be looked at, if nothing happens before."""
        pause = self.execution.programs.pool.pause()
        if self._deadline is None or self._cancelling:
            return pause
        left = max(0.0, self._deadline.at - self.clock())
        return left if pause is None else min(pause, left)

    def _enforce(self, root: Work) -> None:
        """Stop the run gracefully when its time is over; what ends it is left alone."""
        if self._deadline is None or self._cancelling or self.clock() < self._deadline.at:
            return
        if root.is_open:
            self._cancelling, self.late = 1, self._deadline.reason
            self.execution.programs.cancel(at_once=False, late=self.late)
        self._deadline = None

    def _told(self) -> Iterator[Event]:
        while self._events:
            yield self._events.popleft()

    def _open(self, group: Work) -> None:
        """Make the tasks of a DAG, and let those begin that wait for nothing."""
        dag = group.component.dag
        group.status = Status.RUNNING
        group.attempt += 1
        group.children.clear()
        if dag is None or not dag.tasks:
            self._todo.append(partial(self._close, group))
            return
        for name in graph.order(dag):
            task = dag.tasks[name]
            component = graph.component_of(self.request.pipeline, task)
            segments = (*group.segments, graph.segment(name, task, component))
            group.children[name] = Work(segments, task, component, group, waiting=set(graph.upstream(task)))
        group.unfinished = len(group.children)
        for child in group.children.values():
            child.is_final = group.is_final or child.ends
            for name in child.waiting:
                group.children[name].followers.append(child)
        for child in group.children.values():
            if not child.waiting:
                self._todo.append(partial(self._decide, child))

    def _decide(self, work: Work) -> None:
        """The upstream tasks of a task have ended: let it begin, or say why it does not."""
        selection = self.request.selection
        if not selection.concerns(work.id.path):
            self._leave(work)
            return
        siblings = work.parent.children if work.parent else {}
        upstream = [siblings[name] for name in graph.upstream(work.task)]
        upstream = [each for each in upstream if selection.concerns(each.id.path)]
        statuses = {each.called(self.request.pipeline): each.status for each in upstream}
        status, reason = graph.decide(work.task, statuses)
        always = work.runs_always
        if self._stops(work):
            status, reason = Status.CANCELLED, ""
        if status is not Status.PENDING:
            self._pass_over(work, status, reason)
            return
        try:
            task = selection.narrowed(work.id.path, work.task)
            around = work.around(self.names, self.request.run, self.request.settings.final_status)
            work.given = inputs.resolve(task, work.component, around)
            condition = work.task.trigger_policy.condition if work.task.trigger_policy else ""
            if condition and not inputs.conditional(condition, work.task, work.component, work.given):
                self._pass_over(work, Status.NOT_TRIGGERED, "its condition is false")
                return
            if work.is_loop:
                work.items = inputs.items(work.task, work.given)
        except inputs.MissingInputError as missing:
            status = Status.FAILED if always else Status.NOT_TRIGGERED
            self._pass_over(work, status, f"nothing was produced for its input {str(missing)!r}")
            return
        except RunError as error:
            self._pass_over(work, Status.FAILED, error.message)
            return
        self._begin(work)

    def _leave(self, work: Work) -> None:
        """A task that was not selected; of a group or a loop, what is inside may yet be taken from an earlier run."""
        if work.is_loop:
            count = self.request.selection.iterations.get(work.id.path)
            if count is None:
                self._pass_over(work, Status.NOT_TRIGGERED, "not selected")
                return
            work.items = [None] * count
        self._begin(work)

    def _stops(self, work: Work) -> bool:
        """Whether the run was cancelled for this task: the first time, what ends a run still comes."""
        return self._cancelling > (1 if work.is_final else 0)

    def _begin(self, work: Work) -> None:
        if work.is_loop:
            work.status = Status.RUNNING
            self._iterate(work)
        elif work.component.dag is not None:
            self._open(work)
        else:
            self.execution.execute(work)

    def _iterate(self, loop: Work) -> None:
        """Begin as many iterations as may run at once."""
        if loop.status.final:
            return
        while (
            loop.begun < len(loop.items) and not self._stops(loop) and (not loop.limit or loop.unfinished < loop.limit)
        ):
            number = loop.begun
            loop.begun += 1
            loop.unfinished += 1
            given = inputs.with_item(loop.task, loop.component, loop.given, loop.items[number])
            each = Work((*loop.segments, graph.iteration(number)), loop.task, loop.component, loop, given=given)
            each.is_iteration, each.is_final = True, loop.is_final
            loop.children[str(number)] = each
            self._todo.append(partial(self._begin, each))
        if not loop.unfinished:
            self._close(loop)

    def _close(self, work: Work) -> None:
        """All tasks of a group, or all iterations of a loop, have ended."""
        statuses = [child.status for child in work.children.values()]
        if any(status in (Status.FAILED, Status.UNSCHEDULABLE) for status in statuses):
            status = Status.FAILED
        elif Status.CANCELLED in statuses or work.begun < len(work.items):
            status = Status.CANCELLED
        else:
            status = Status.SUCCEEDED
        made = {key: child.outputs for key, child in work.children.items() if child.outputs is not None}
        if work.is_loop:
            work.outputs = inputs.collected([made.get(key) for key in work.children], work.component)
        elif work.component.dag is not None:
            work.outputs = inputs.dag_outputs(work.component.dag, made)
        work.failure = next((child.failure for child in work.children.values() if child.failure), None)
        reason = f"{work.failure[0].name}: {work.failure[1]}" if work.failure else ""
        if status is Status.FAILED and not work.is_loop and self.execution.programs.again(work, reason):
            return
        self._end(work, status, work.failure[1] if work.failure else "")

    def _end(self, work: Work, status: Status, reason: str = "") -> None:
        """A node of the tree has its final status: those who waited for it go on."""
        work.status, work.reason = status, reason
        if status is Status.FAILED and work.failure is None:
            work.failure = (work.id, reason)
        for follower in work.followers:
            follower.waiting.discard(work.key)
            if not follower.waiting:
                self._todo.append(partial(self._decide, follower))
        parent = work.parent
        if parent is None:
            return
        parent.unfinished -= 1
        if work.is_iteration:
            self._todo.append(partial(self._iterate, parent))
        elif not parent.unfinished:
            self._todo.append(partial(self._close, parent))

    def _pass_over(self, work: Work, status: Status, reason: str) -> None:
        """A task that does not begin: everything inside it shares its status."""
        at = self.clock()
        for task in work.executors(self.request.pipeline):
            self._events.append(TaskFinished(task, status, at, reason=reason, component=work.component_name))
            if status is Status.FAILED and work.failure is None:
                work.failure = (task, reason)
        self._end(work, status, reason)
