"""The loop of a rollout: give the new version its next share, watch the alarms for a while, go on or stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.errors import BackendError, OrchestratorError
from orchestrator.serving.guard import Alarm
from orchestrator.serving.rollout import judgement, prometheus, reading
from orchestrator.serving.rollout.judgement import Judgement
from orchestrator.serving.rollout.plan import Plan, Share
from orchestrator.serving.rollout.reading import Reading, Window

# Alarms are looked at this often during a bake; at first more often, because what fails at once should end at once.
_LOOKS = 20
_SHORTEST, _LONGEST = 0.1, 5.0

Ask = Callable[[str, str, bool], float | None]


class Traffic(Protocol):
    """The traffic of one endpoint, as it is moved from an old version to a new one."""

    def shift(self, percent: int) -> tuple[str, ...]:
        """Give the new version that share and wait until it has it; the names of the variants it answers as."""
        ...

    def read(self) -> Reading:
        """What the endpoint's servers count now. Raises BackendError when they do not say."""
        ...

    def check(self) -> None:
        """Raises OrchestratorError when somebody else changed the endpoint since the last shift."""
        ...


class AlarmError(OrchestratorError):
    """An alarm fired: the new version must not stay."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One share that the new version has had: for how long, over how many requests, and what the alarms watched."""

    percent: int
    seconds: float
    requests: int
    alarms: Mapping[str, float] = field(default_factory=dict)


def _asked(url: str, query: str, largest: bool) -> float | None:
    return prometheus.ask(url, query, largest=largest)


@dataclass(slots=True)
class Control:
    """One rollout under way; `quiet` is asked before anything changes, `run` then."""

    plan: Plan
    traffic: Traffic
    endpoint: str
    say: Callable[[str], None]
    progress: Callable[[float, float, str], None]
    ask: Ask = _asked
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    versions: str = ".*"
    """What is deployed, as a regular expression: on a cluster old and new answer under one variant's name."""
    _done: list[Stage] = field(default_factory=list)
    _trouble: dict[str, str] = field(default_factory=dict)

    def run(self) -> tuple[Stage, ...]:
        """Every share of the plan, one after another. Raises AlarmError when an alarm fires or has nothing to watch."""
        shares = self.plan.shares()
        whole = sum(share.bake_seconds for share in shares)
        for share in shares:
            watched = self.traffic.shift(share.percent)
            spent = sum(stage.seconds for stage in self._done)
            self._done.append(self._baked(share, watched, spent, whole))
        return tuple(self._done)

    def quiet(self) -> None:
        """Refuse to begin while a query already fires: whatever it watches, it is not the new version."""
        for alarm in self.plan.alarms:
            if alarm.metric is None and alarm.above is not None:
                value = self._queried(alarm, ())
                if value is not None and value > alarm.above:
                    message = f"the alarm {alarm.label!r} fires already: {value:g}, {judgement.bound(alarm)}"
                    raise AlarmError(message, hint="deploy when the endpoint is well again, or mend the alarm")

    def _baked(self, share: Share, watched: Sequence[str], spent: float, whole: float) -> Stage:
        """Watch one share for as long as the plan says; what came of it. Raises AlarmError."""
        began = self.clock()
        if not share.bake_seconds:
            return Stage(share.percent, 0.0, 0)
        self.say(f"{share.percent} % of the traffic, watched for {_long(share.bake_seconds)}")
        pause, longest = _SHORTEST, min(max(share.bake_seconds / _LOOKS, _SHORTEST), _LONGEST)
        last, added, told_at = self._read(None), Reading(), 0.0
        while True:
            left = share.bake_seconds - (self.clock() - began)
            final = left <= 0
            if not final:
                self.sleep(min(pause, left))
                pause = min(pause * 2, longest)
            self.traffic.check()
            now = self._read(last)
            if now is not None and last is not None:
                added = added.plus(now.since(last))
                # Who did not answer this time goes on from where it was.
                now = Reading({**last.counts, **now.counts})
            last = now
            seen = reading.window(added, watched)
            found = [self._judged(alarm, seen, watched, final=final) for alarm in self.plan.alarms]
            self._stop_if_breached(share, found, final=final)
            passed = min(self.clock() - began, share.bake_seconds)
            if final or passed >= told_at + share.bake_seconds / _LOOKS:
                told_at = passed
                self.progress(spent + passed, whole, f"{share.percent} % of the traffic, {_requests(seen)}")
            if final:
                told = "; ".join(f"{each.text}, {judgement.bound(each.alarm)}" for each in found)
                self.say(f"{share.percent} % kept its bounds: {told}")
                values = {each.alarm.label: each.value for each in found if each.value is not None}
                return Stage(share.percent, share.bake_seconds, round(seen.requests), values)

    def _read(self, last: Reading | None) -> Reading | None:
        """The counts now; while the servers do not say, those of before: the alarms find nothing new in them."""
        try:
            return self.traffic.read()
        except BackendError as error:
            self._note("metrics", error.message)
            return last

    def _judged(self, alarm: Alarm, seen: Window, watched: Sequence[str], *, final: bool) -> Judgement:
        queried = self._queried(alarm, watched) if alarm.metric is None else None
        return judgement.judge(alarm, seen, queried, final=final)

    def _queried(self, alarm: Alarm, watched: Sequence[str]) -> float | None:
        query = alarm.query.replace("$endpoint", self.endpoint).replace("$version", self.versions)
        query = query.replace("$variant", "|".join(watched) or ".*")
        try:
            return self.ask(self.plan.prometheus, query, alarm.above is not None)
        except BackendError as error:
            self._note(alarm.label, error.message)
            return None

    def _note(self, about: str, trouble: str) -> None:
        """Say it once: the next looks ask again, and in the end what is missing counts as a breach."""
        if self._trouble.get(about) != trouble:
            self._trouble[about] = trouble
            self.say(f"{about}: {trouble}")

    def _stop_if_breached(self, share: Share, found: Sequence[Judgement], *, final: bool) -> None:
        for each in found:
            if each.outcome == "holds" or (each.outcome == "missing" and not final):
                continue
            did = "fired" if each.outcome == "breached" else "had nothing to watch"
            told = f"the alarm {each.alarm.label!r} {did} at {share.percent} % of the traffic: {each.text}"
            hint = "what cannot be measured counts as a breach: is there traffic, and is `bake` long enough for it?"
            raise AlarmError(told, hint=hint if each.outcome == "missing" else "")


def _requests(seen: Window) -> str:
    return f"{seen.requests:,.0f} {'request' if seen.requests == 1 else 'requests'}"


def _long(seconds: float) -> str:
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
