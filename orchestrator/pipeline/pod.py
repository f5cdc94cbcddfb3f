"""What a task finds in its pod: variables, volumes, a user, and a folder for what it has done so far."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from orchestrator.pipeline.forms import InnerPath, Memory, MountPath, ObjectName
from orchestrator.pipeline.shorthand import Shorthand
from orchestrator.source import Document

CLAIM = "orchestrator-checkpoints"
"""The claim that checkpoints are kept in when a task names no other."""


class EnvironmentValue(Shorthand):
    """The value of an environment variable: text, or a key of a secret or a config map."""

    value: str | int | float | bool | None = None
    secret: ObjectName | None = None
    config_map: ObjectName | None = None
    key: str | None = None
    optional: bool = False

    SHORT: ClassVar[str] = "value"

    @model_validator(mode="after")
    def _one(self) -> EnvironmentValue:
        given = [name for name in ("value", "secret", "config_map") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("needs one of value, secret and configMap", "write {secret: NAME, key: KEY}")
        if given != ["value"] and not self.key:
            raise ValueError("missing key 'key': which entry is the value?", "write {secret: NAME, key: KEY}")
        if given == ["value"] and self.key:
            raise ValueError("'key' is for a secret or a config map", "drop it")
        if given == ["value"] and self.optional:
            raise ValueError("'optional' is for a secret or a config map", "drop it")
        return self


class EmptyDir(Document):
    """A folder that lives as long as the task."""

    medium: Literal["Memory", "HugePages"] | None = None
    size: Memory | None = None


class Volume(Document):
    """A folder mounted into the task: exactly one of pvc, emptyDir, secret and configMap says what it is."""

    path: MountPath
    pvc: ObjectName | None = None
    sub_path: InnerPath | None = None
    empty_dir: EmptyDir | None = None
    secret: ObjectName | None = None
    config_map: ObjectName | None = None
    optional: bool = False

    @model_validator(mode="after")
    def _one(self) -> Volume:
        kinds = (self.pvc, self.empty_dir, self.secret, self.config_map)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("a volume needs exactly one of pvc, emptyDir, secret and configMap")
        if self.sub_path is not None and self.pvc is None:
            raise ValueError("'subPath' is for a pvc")
        if self.optional and self.secret is None and self.config_map is None:
            raise ValueError("'optional' is for a secret or a config map")
        return self


class SecurityContext(Document):
    """The user a program runs as."""

    run_as_user: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    run_as_group: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    run_as_non_root: bool | None = None

    @model_validator(mode="after")
    def _possible(self) -> SecurityContext:
        if self.run_as_non_root and self.run_as_user == 0:
            raise ValueError("'runAsUser: 0' is root, which 'runAsNonRoot' forbids", "name another user, such as 65532")
        return self


class Checkpoints(Shorthand):
    """Whether what a task has done so far is kept, and in which claim."""

    enabled: bool = True
    pvc: ObjectName = CLAIM

    SHORT: ClassVar[str] = "enabled"


def checked(volumes: list[Volume], *, shared_memory: bool, checkpoints: bool) -> None:
    """Refuse two volumes at one path. Raises ValueError."""
    taken = {"/dev/shm"} if shared_memory else set()  # noqa: S108  Where programs look for shared memory.
    taken |= {"/checkpoints"} if checkpoints else set()
    for volume in volumes:
        path = volume.path.rstrip("/")
        if path in taken:
            raise ValueError(f"two volumes at {path}", "'sharedMemory' is /dev/shm, 'checkpoints' is /checkpoints")
        taken.add(path)
