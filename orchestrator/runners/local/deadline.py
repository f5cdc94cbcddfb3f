"""How long a run may take: the `activeDeadlineSeconds` of its pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.ir.platform import PlatformSpec


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment at which what still runs is stopped; what ends the run comes even then."""

    at: float
    seconds: int

    @property
    def reason(self) -> str:
        """What a run that passed it is told to have died of."""
        return f"the run took longer than its deadline of {self.seconds} s"


def of(platform: PlatformSpec, began: float) -> Deadline | None:
    """The deadline of a run that begins now: a run that is resumed has all its time again."""
    kubernetes = platform.platforms.kubernetes
    config = kubernetes.pipeline_config if kubernetes else None
    seconds = config.active_deadline_seconds if config else 0
    return Deadline(began + seconds, seconds) if seconds > 0 else None
