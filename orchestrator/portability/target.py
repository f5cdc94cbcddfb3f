"""Where a pipeline may run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Target:
    """This machine, or a version of Kubeflow Pipelines."""

    name: str
    version: Version | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is this machine."""
        return self.version is None


_KFP = [(2, 15), (2, 16), (2, 17)]
TARGETS: Mapping[str, Target] = {
    "local": Target("local"),
    **{f"kfp-{major}.{minor}": Target(f"kfp-{major}.{minor}", (major, minor)) for major, minor in _KFP},
}
DEFAULT = ("local", "kfp-2.17")
