"""What a platform adds to a pipeline: Kubernetes settings as kfp-kubernetes writes them, and our own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field

from orchestrator.ir.spec import TaskInputParameter, TaskOutputParameter, Value


class Deferred(Value):
    """A message whose reader is built when the first one is read: most pipelines ask nothing of a platform."""

    model_config = ConfigDict(defer_build=True)


class KeyToEnv(Deferred):
    """A key of a secret or a config map that becomes an environment variable."""

    secret_key: str = ""
    config_map_key: str = ""
    env_var: str = ""


class SecretAsEnv(Deferred):
    """A secret's keys as environment variables."""

    secret_name: str = ""
    key_to_env: tuple[KeyToEnv, ...] = ()
    optional: bool | None = None
    secret_name_parameter: TaskInputParameter | None = None


class SecretAsVolume(Deferred):
    """A secret's keys as files below a path."""

    secret_name: str = ""
    mount_path: str = ""
    optional: bool | None = None
    secret_name_parameter: TaskInputParameter | None = None


class ConfigMapAsEnv(Deferred):
    """A config map's keys as environment variables."""

    config_map_name: str = ""
    key_to_env: tuple[KeyToEnv, ...] = ()
    optional: bool | None = None
    config_map_name_parameter: TaskInputParameter | None = None


class ConfigMapAsVolume(Deferred):
    """A config map's keys as files below a path."""

    config_map_name: str = ""
    mount_path: str = ""
    optional: bool | None = None
    config_map_name_parameter: TaskInputParameter | None = None


class PvcMount(Deferred):
    """A persistent volume claim, named or made by a task, mounted at a path."""

    mount_path: str = ""
    constant: str = ""
    component_input_parameter: str = ""
    task_output_parameter: TaskOutputParameter | None = None
    pvc_name_parameter: TaskInputParameter | None = None
    sub_path: str = ""


class NodeSelector(Deferred):
    """Labels a node must have."""

    labels: Mapping[str, str] = Field(default_factory=dict)
    node_selector_json: TaskInputParameter | None = None


class PodMetadata(Deferred):
    """Labels and annotations of the task's pod."""

    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)


class ImagePullSecret(Deferred):
    """The secret an image is pulled with."""

    secret_name: str = ""
    secret_name_parameter: TaskInputParameter | None = None


class FieldPathAsEnv(Deferred):
    """A field of the pod as an environment variable."""

    name: str
    field_path: str


class Toleration(Deferred):
    """A taint the pod may be scheduled onto."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | str | None = None
    toleration_json: TaskInputParameter | None = None


class GenericEphemeralVolume(Deferred):
    """A volume that lives as long as the pod."""

    volume_name: str = ""
    mount_path: str = ""
    access_modes: tuple[str, ...] = ()
    size: str = ""
    default_storage_class: bool = False
    storage_class_name: str = ""
    metadata: PodMetadata | None = None


class SelectorRequirement(Deferred):
    """One expression of a node affinity term."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class NodeAffinityTerm(Deferred):
    """Nodes wanted (with a weight) or demanded (without)."""

    match_expressions: tuple[SelectorRequirement, ...] = ()
    match_fields: tuple[SelectorRequirement, ...] = ()
    weight: int | None = None
    node_affinity_json: TaskInputParameter | None = None


class EmptyDirMount(Deferred):
    """A scratch volume; medium "Memory" is shared memory."""

    volume_name: str = ""
    mount_path: str = ""
    medium: str = ""
    size_limit: str = ""


class SharedMemory(Deferred):
    """A larger shared memory; in KFP's schema, and read by no part of KFP."""

    volume_name: str = ""
    size: str = ""


class PodAffinityTerm(Deferred):
    """Pods to be placed beside, or apart from; in KFP's schema, and read by no part of KFP."""

    match_pod_expressions: tuple[SelectorRequirement, ...] = ()
    match_pod_labels: Mapping[str, str] = Field(default_factory=dict)
    topology_key: str = ""
    namespaces: tuple[str, ...] = ()
    match_namespace_expressions: tuple[SelectorRequirement, ...] = ()
    match_namespace_labels: Mapping[str, str] = Field(default_factory=dict)
    weight: int | None = None
    anti: bool | None = None


class PodResourceClaim(Deferred):
    """A device claimed through dynamic resource allocation."""

    resource_claim_template_name: str = ""
    resource_claim_json: TaskInputParameter | None = None


class InitVariable(Deferred):
    """An environment variable of an init container."""

    name: str = ""
    value: str = ""


class InitMount(Deferred):
    """A volume of the pod, as an init container sees it."""

    volume_name: str = ""
    mount_path: str = ""


class InitResources(Deferred):
    """Quantities by resource."""

    requests: Mapping[str, str] = Field(default_factory=dict)
    limits: Mapping[str, str] = Field(default_factory=dict)


class InitContainer(Deferred):
    """A container that ends before the task's begins; with restart policy "Always", one that runs beside it."""

    name: str = ""
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[InitVariable, ...] = ()
    volume_mounts: tuple[InitMount, ...] = ()
    restart_policy: str | None = None
    resources: InitResources | None = None


class SecurityContext(Deferred):
    """The user a container runs as."""

    run_as_user: int | str | None = None
    run_as_group: int | str | None = None
    run_as_non_root: bool | None = None


class KubernetesExecutor(Deferred):
    """What kfp-kubernetes can say of one executor."""

    secret_as_env: tuple[SecretAsEnv, ...] = ()
    secret_as_volume: tuple[SecretAsVolume, ...] = ()
    config_map_as_env: tuple[ConfigMapAsEnv, ...] = ()
    config_map_as_volume: tuple[ConfigMapAsVolume, ...] = ()
    pvc_mount: tuple[PvcMount, ...] = ()
    node_selector: NodeSelector | None = None
    pod_metadata: PodMetadata | None = None
    image_pull_secret: tuple[ImagePullSecret, ...] = ()
    image_pull_policy: str = ""
    active_deadline_seconds: int | str | None = None
    field_path_as_env: tuple[FieldPathAsEnv, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    generic_ephemeral_volume: tuple[GenericEphemeralVolume, ...] = ()
    node_affinity: tuple[NodeAffinityTerm, ...] = ()
    pod_affinity: tuple[PodAffinityTerm, ...] = ()
    enabled_shared_memory: SharedMemory | None = None
    empty_dir_mounts: tuple[EmptyDirMount, ...] = ()
    security_context: SecurityContext | None = None
    init_containers: tuple[InitContainer, ...] = ()
    pod_resource_claims: tuple[PodResourceClaim, ...] = ()


class OrchestratorExecutor(Deferred):
    """What the IR has no field for and our runners honour."""

    cache_ttl: str = ""  # A duration in seconds, e.g. `604800s`.
    spot: bool = False
    checkpoints: str = ""  # Where the claim is mounted that keeps what a task has done so far.


class KubernetesDeployment(Deferred):
    """Kubernetes settings, by executor label."""

    executors: Mapping[str, KubernetesExecutor] = Field(default_factory=dict)


class OrchestratorDeployment(Deferred):
    """Settings of our own, by executor label."""

    executors: Mapping[str, OrchestratorExecutor] = Field(default_factory=dict)


class PipelineConfig(Deferred):
    """Settings of a whole run."""

    resource_ttl_on_completion: int = 0
    resource_ttl_on_success: int = 0
    resource_ttl_on_failure: int = 0
    active_deadline_seconds: int = 0
    workspace: Any = None


class KubernetesPlatform(Deferred):
    """The Kubernetes part of a platform document."""

    deployment_spec: KubernetesDeployment = KubernetesDeployment.model_construct()
    pipeline_config: PipelineConfig | None = None
    platform: str = ""
    config: Any = None


class OrchestratorPlatform(Deferred):
    """Our part of a platform document; KFP reads only its own and passes over this one."""

    deployment_spec: OrchestratorDeployment = OrchestratorDeployment.model_construct()


class Platforms(Deferred):
    """The platforms a document speaks of."""

    kubernetes: KubernetesPlatform | None = None
    orchestrator: OrchestratorPlatform | None = None


class PlatformSpec(Deferred):
    """The second document of an IR file; empty when a pipeline asks nothing of a platform."""

    platforms: Platforms = Platforms.model_construct()
