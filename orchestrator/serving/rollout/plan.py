"""The plan of a rollout: the shares of the traffic that the new version has in turn, and how long each is watched."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.serving.guard import Alarm, Rollout, Strategy


@dataclass(frozen=True, slots=True)
class Share:
    """Percent of the traffic that the new version has, and for how long alarms are watched before the next share."""

    percent: int
    bake_seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to the traffic, in order. The last share is all of it."""

    strategy: Strategy = "all_at_once"
    size: int = 10
    bake_seconds: float = 0.0
    alarms: tuple[Alarm, ...] = ()
    prometheus: str = ""

    @classmethod
    def of(cls, rollout: Rollout) -> Plan:
        """The plan that an endpoint file asks for."""
        return cls(rollout.strategy, rollout.size, rollout.bake_seconds, rollout.alarms, rollout.prometheus)

    def shares(self) -> tuple[Share, ...]:
        """The shares; without an alarm there is nothing to watch, and nobody waits."""
        seconds = self.bake_seconds if self.alarms else 0.0
        return tuple(Share(percent, seconds) for percent in self._percents())

    def _percents(self) -> tuple[int, ...]:
        match self.strategy:
            case "canary":
                return (self.size, 100)
            case "linear":
                return (*range(self.size, 100, self.size), 100)
            case _:
                return (100,)

    @property
    def is_by_shares(self) -> bool:
        """Whether the old and the new version answer side by side for a while."""
        return self.strategy != "all_at_once"
