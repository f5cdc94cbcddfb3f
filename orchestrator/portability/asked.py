"""What a task asks of the place it runs in: resources, machines, pods, volumes; and what a run asks as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from orchestrator.ir import placement as chosen
from orchestrator.ir import texts
from orchestrator.ir.spec import Resources
from orchestrator.portability.subject import Found, Subject, Use

_SHARED = "/dev/shm"  # noqa: S108  Shared memory every process has, as much as the machine.
_VOLUME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
Find = Callable[[Subject], Iterator[Found]]


def kubernetes(field: str, json_name: str, key: str) -> Find:
    """Finds a setting of kfp-kubernetes that is not empty."""

    def find(subject: Subject) -> Iterator[Found]:
        for use in subject.uses:
            if getattr(use.kubernetes, field):
                yield Found(use.beside(json_name), use, key)

    return find


def sidecars(subject: Subject) -> Iterator[Found]:
    """Containers that run beside the task's own, or before it."""
    for use in subject.uses:
        if use.kubernetes.init_containers:
            yield Found(use.beside("initContainers"), use, "component")


def placement(subject: Subject) -> Iterator[Found]:
    """A choice of machines."""
    for use in subject.uses:
        asked = use.kubernetes
        resources = use.container.resources if use.container else None
        device = resources.accelerator if resources else None
        if not chosen.is_chosen(asked, device.resource_type or device.type if device else "", spot=use.own.spot):
            continue
        for found, name in (
            (asked.node_selector, "nodeSelector"),
            (asked.tolerations, "tolerations"),
            (asked.node_affinity, "nodeAffinity"),
            (asked.pod_affinity, "podAffinity"),
        ):
            if found:
                yield Found(use.beside(name), use, "placement")
                break


def sub_path(subject: Subject) -> Iterator[Found]:
    """A part of a volume."""
    for use in subject.uses:
        if any(each.sub_path for each in use.kubernetes.pvc_mount):
            yield Found(use.beside("pvcMount"), use, "volumes")


def mounts(subject: Subject) -> Iterator[Found]:
    """Folders at paths that no word of the task names."""
    for use in subject.uses:
        asked = use.kubernetes
        paths = [
            *(each.mount_path for each in asked.pvc_mount),
            *(each.mount_path for each in asked.secret_as_volume if not each.optional),
            *(each.mount_path for each in asked.config_map_as_volume if not each.optional),
            *(each.mount_path for each in asked.empty_dir_mounts),
            *(each.mount_path for each in asked.generic_ephemeral_volume),
        ]
        known = "\n".join([*_said(use)])
        for path in [each.rstrip("/") for each in paths]:
            if path and path != _SHARED and path not in known:
                yield Found(use.beside(), use, "volumes", path)


def sizes(subject: Subject) -> Iterator[Found]:
    """Volumes with a size they must not outgrow."""
    for use in subject.uses:
        if any(each.size_limit and each.mount_path != _SHARED for each in use.kubernetes.empty_dir_mounts):
            yield Found(use.beside("emptyDirMounts"), use, "volumes")


def accelerators(subject: Subject) -> Iterator[Found]:
    """GPUs and the like."""
    for use, resources in _resources(subject):
        if resources.accelerator:
            yield Found(use.inside("container", "resources", "accelerator"), use, "resources")


def limits(subject: Subject) -> Iterator[Found]:
    """CPU and memory that a task must not exceed."""
    for use, resources in _resources(subject):
        if resources.resource_cpu_limit or resources.resource_memory_limit:
            yield Found(use.inside("container", "resources"), use, "resources")


def lifecycle(subject: Subject) -> Iterator[Found]:
    """A check before the cache is asked."""
    for use in subject.uses:
        if use.container and use.container.lifecycle:
            yield Found(use.inside("container", "lifecycle"), use, "component")


def cache_ttl(subject: Subject) -> Iterator[Found]:
    """A time after which a result is too old to be used again."""
    for use in subject.uses:
        if use.own.cache_ttl:
            yield Found(use.beside("cacheTtl", platform="orchestrator"), use, "cache")


def spot(subject: Subject) -> Iterator[Found]:
    """Machines that may be taken away."""
    for use in subject.uses:
        if use.own.spot:
            yield Found(use.beside("spot", platform="orchestrator"), use, "placement")


def user(subject: Subject) -> Iterator[Found]:
    """A user to run as; that it is not root is for the image to see to."""
    for use in subject.uses:
        context = use.kubernetes.security_context
        if context and (context.run_as_user is not None or context.run_as_group is not None):
            yield Found(use.beside("securityContext"), use, "securityContext")


def priority(subject: Subject) -> Iterator[Found]:
    """A priority class."""
    for use in subject.uses:
        if use.kubernetes.pod_metadata and chosen.PRIORITY in use.kubernetes.pod_metadata.labels:
            yield Found(use.beside("podMetadata"), use, "placement")


def volume_names(subject: Subject) -> Iterator[Found]:
    """Volumes a server cannot tell apart: it calls them as the objects they are of."""
    for use in subject.uses:
        asked = use.kubernetes
        kinds = {
            "claim": {each.constant for each in asked.pvc_mount},
            "secret": {each.secret_name for each in asked.secret_as_volume},
            "config map": {each.config_map_name for each in asked.config_map_as_volume},
            "folder": {each.volume_name for each in asked.empty_dir_mounts},
        }
        listed = [name for names in kinds.values() for name in names if name]
        for name in dict.fromkeys(each for each in listed if listed.count(each) > 1 or not _VOLUME.fullmatch(each)):
            yield Found(use.beside(), use, "volumes", name)


def lifetime(subject: Subject) -> Iterator[Found]:
    """How long a run is kept when it is over."""
    config = subject.config
    if config and (
        config.resource_ttl_on_completion or config.resource_ttl_on_success or config.resource_ttl_on_failure
    ):
        yield Found(("platforms", "kubernetes", "pipelineConfig"))


def deadline(subject: Subject) -> Iterator[Found]:
    """How long a whole run may take."""
    if subject.config and subject.config.active_deadline_seconds:
        yield Found(("platforms", "kubernetes", "pipelineConfig", "activeDeadlineSeconds"))


def _resources(subject: Subject) -> Iterator[tuple[Use, Resources]]:
    for use in subject.uses:
        if use.container and use.container.resources:
            yield use, use.container.resources


def _said(use: Use) -> Iterator[str]:
    yield from use.words
    for each in use.container.env if use.container else ():
        yield each.value
    for parameter in use.task.inputs.parameters.values():
        yield from texts.inside(parameter.runtime_value.constant if parameter.runtime_value else None)
