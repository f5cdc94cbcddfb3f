"""What a platform document asks for a task: variables and volumes, names that come from parameters filled in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.ir.platform import (
    ConfigMapAsEnv,
    ConfigMapAsVolume,
    KubernetesExecutor,
    PvcMount,
    SecretAsEnv,
    SecretAsVolume,
)
from orchestrator.ir.spec import TaskInputParameter

Filled = Callable[[TaskInputParameter], str]
"""The text a parameter has for a task; "" when nothing gave it one."""

CLAIM, SECRET, CONFIG_MAP, SCRATCH = "claim", "Secret", "ConfigMap", "scratch"


@dataclass(frozen=True, slots=True)
class Variable:
    """A key of a secret or a config map that becomes an environment variable."""

    name: str
    kind: str
    holder: str
    key: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Volume:
    """Files a task finds at a path: a claim's, those of a secret or a config map, or none yet."""

    path: str
    kind: str
    name: str
    sub_path: str = ""
    optional: bool = False
    is_made: bool = False
    """Whether a claim that is not there is made: what it holds is nobody's but the task's."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything a task asks for."""

    variables: tuple[Variable, ...] = ()
    volumes: tuple[Volume, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    """Variables that hold a field of the pod: name and path of the field."""


NOTHING = Asked()


def read(executor: KubernetesExecutor, filled: Filled) -> Asked:
    """What an executor's part of a platform document asks for."""
    variables = (
        *(variable for each in executor.secret_as_env for variable in _variables(each, filled)),
        *(variable for each in executor.config_map_as_env for variable in _variables(each, filled)),
    )
    volumes = (
        *(Volume(each.mount_path, CLAIM, _claim(each, filled), each.sub_path) for each in executor.pvc_mount),
        *(_files(each, filled) for each in executor.secret_as_volume),
        *(_files(each, filled) for each in executor.config_map_as_volume),
        *(Volume(each.mount_path, SCRATCH, each.volume_name) for each in executor.empty_dir_mounts),
        *(Volume(each.mount_path, SCRATCH, each.volume_name) for each in executor.generic_ephemeral_volume),
    )
    fields = tuple((each.name, each.field_path) for each in executor.field_path_as_env)
    return Asked(variables, volumes, fields)


def _variables(asked: SecretAsEnv | ConfigMapAsEnv, filled: Filled) -> Iterator[Variable]:
    kind, holder = _holder(asked, filled)
    for each in asked.key_to_env:
        key = each.secret_key if isinstance(asked, SecretAsEnv) else each.config_map_key
        yield Variable(each.env_var, kind, holder, key, bool(asked.optional))


def _files(asked: SecretAsVolume | ConfigMapAsVolume, filled: Filled) -> Volume:
    kind, holder = _holder(asked, filled)
    return Volume(asked.mount_path, kind, holder, optional=bool(asked.optional))


def _holder(
    asked: SecretAsEnv | SecretAsVolume | ConfigMapAsEnv | ConfigMapAsVolume, filled: Filled
) -> tuple[str, str]:
    """A kind and a name: from a parameter, or as older compilers wrote it."""
    if isinstance(asked, SecretAsEnv | SecretAsVolume):
        by_parameter, name, kind = asked.secret_name_parameter, asked.secret_name, SECRET
    else:
        by_parameter, name, kind = asked.config_map_name_parameter, asked.config_map_name, CONFIG_MAP
    return kind, filled(by_parameter) if by_parameter else name


def _claim(asked: PvcMount, filled: Filled) -> str:
    if asked.pvc_name_parameter:
        return filled(asked.pvc_name_parameter)
    if asked.task_output_parameter or asked.component_input_parameter:
        older = TaskInputParameter(
            task_output_parameter=asked.task_output_parameter,
            component_input_parameter=asked.component_input_parameter,
        )
        return filled(older)
    return asked.constant
