"""The KFP v2 pipeline specification as typed, frozen values.

The names are those of `pipeline_spec.proto` (schema version 2.1.0), in Python's case here and in JSON's case in files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

ParameterType = Literal[
    "NUMBER_DOUBLE", "NUMBER_INTEGER", "STRING", "BOOLEAN", "LIST", "STRUCT", "TASK_FINAL_STATUS", "TASK_CONFIG"
]
Strategy = Literal["ALL_UPSTREAM_TASKS_SUCCEEDED", "ALL_UPSTREAM_TASKS_COMPLETED"]
COMPLETED: Strategy = "ALL_UPSTREAM_TASKS_COMPLETED"

_TITLE = re.compile(r"^title: *['\"]?([\w.-]+)", re.MULTILINE)


class Value(BaseModel):
    """The base of every message: frozen, camelCase, no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class ArtifactType(Value):
    """What an artifact is: a `system.*` or other title, or an inline schema."""

    schema_title: str = ""
    schema_uri: str = ""
    instance_schema: str = ""
    schema_version: str = ""

    @property
    def title(self) -> str:
        """Its name, whichever way it is written: an inline schema is YAML with a title."""
        inline = _TITLE.search(self.instance_schema)
        return self.schema_title or (inline[1] if inline else "system.Artifact")


class InputParameter(Value):
    """A parameter a component takes."""

    parameter_type: ParameterType
    default_value: Any = None
    is_optional: bool = False
    description: str = ""
    literals: tuple[Any, ...] = ()


class InputArtifact(Value):
    """An artifact, or a list of them, a component takes."""

    artifact_type: ArtifactType
    is_artifact_list: bool = False
    is_optional: bool = False
    description: str = ""


class InputDefinitions(Value):
    """Everything a component takes, by name."""

    artifacts: Mapping[str, InputArtifact] = Field(default_factory=dict)
    parameters: Mapping[str, InputParameter] = Field(default_factory=dict)


class OutputParameter(Value):
    """A parameter a component gives."""

    parameter_type: ParameterType
    description: str = ""


class OutputArtifact(Value):
    """An artifact, or a list of them, a component gives."""

    artifact_type: ArtifactType
    properties: Mapping[str, Any] = Field(default_factory=dict)
    custom_properties: Mapping[str, Any] = Field(default_factory=dict)
    metadata: Mapping[str, Any] = Field(default_factory=dict)
    is_artifact_list: bool = False
    description: str = ""


class OutputDefinitions(Value):
    """Everything a component gives, by name."""

    artifacts: Mapping[str, OutputArtifact] = Field(default_factory=dict)
    parameters: Mapping[str, OutputParameter] = Field(default_factory=dict)


class RuntimeValue(Value):
    """A constant, or the name of a parameter that holds the value when the pipeline runs."""

    constant: Any = None
    runtime_parameter: str = ""
    constant_value: Any = None  # Deprecated in the proto; still met in old files.


class TaskOutputParameter(Value):
    """The output parameter of another task of the same DAG."""

    producer_task: str
    output_parameter_key: str


class TaskOutputArtifact(Value):
    """The output artifact of another task of the same DAG."""

    producer_task: str
    output_artifact_key: str


class TaskFinalStatus(Value):
    """The final status of another task of the same DAG."""

    producer_task: str


class TaskInputParameter(Value):
    """Where a task takes a parameter from: exactly one source, and perhaps an expression that picks a part."""

    task_output_parameter: TaskOutputParameter | None = None
    runtime_value: RuntimeValue | None = None
    component_input_parameter: str = ""
    task_final_status: TaskFinalStatus | None = None
    parameter_expression_selector: str = ""


class TaskInputArtifact(Value):
    """Where a task takes an artifact from."""

    task_output_artifact: TaskOutputArtifact | None = None
    component_input_artifact: str = ""


class TaskInputs(Value):
    """What a task is given, by the component's input names."""

    parameters: Mapping[str, TaskInputParameter] = Field(default_factory=dict)
    artifacts: Mapping[str, TaskInputArtifact] = Field(default_factory=dict)


class CachingOptions(Value):
    """Whether a task's outputs may come from an earlier run."""

    enable_cache: bool = False
    cache_key: str = ""


class TriggerPolicy(Value):
    """When a task starts: a CEL condition over its inputs, and what its upstream tasks must have come to."""

    condition: str = ""
    strategy: Strategy | Literal[""] = ""


class RetryPolicy(Value):
    """How often a failed task is tried again; durations as protobuf JSON, e.g. `10s`."""

    max_retry_count: int = 0
    backoff_duration: str = ""
    backoff_factor: float = 0
    backoff_max_duration: str = ""


class IteratorPolicy(Value):
    """How many iterations run at once; 0 means all."""

    parallelism_limit: int = 0


class ParameterItems(Value):
    """The list to iterate: literal JSON text, or an input parameter of the iterating task."""

    raw: str = ""
    input_parameter: str = ""


class ParameterIterator(Value):
    """Runs the component once per item of a list."""

    items: ParameterItems
    item_input: str


class ArtifactItems(Value):
    """The artifact list to iterate."""

    input_artifact: str


class ArtifactIterator(Value):
    """Runs the component once per artifact of a list."""

    items: ArtifactItems
    item_input: str


class TaskInfo(Value):
    """How a task is called where people see it."""

    name: str = ""


class ComponentRef(Value):
    """The component a task uses."""

    name: str


class Task(Value):
    """A component's use in a DAG."""

    task_info: TaskInfo = TaskInfo()
    inputs: TaskInputs = TaskInputs()
    dependent_tasks: tuple[str, ...] = ()
    caching_options: CachingOptions | None = None
    component_ref: ComponentRef
    trigger_policy: TriggerPolicy | None = None
    artifact_iterator: ArtifactIterator | None = None
    parameter_iterator: ParameterIterator | None = None
    retry_policy: RetryPolicy | None = None
    iterator_policy: IteratorPolicy | None = None


class ParameterSelector(Value):
    """An output parameter of a task inside a DAG."""

    producer_subtask: str
    output_parameter_key: str


class ParameterSelectors(Value):
    """Alternatives: the first whose task ran gives the value."""

    parameter_selectors: tuple[ParameterSelector, ...]


class DagOutputParameter(Value):
    """Where a DAG takes an output parameter from."""

    value_from_parameter: ParameterSelector | None = None
    value_from_oneof: ParameterSelectors | None = None


class ArtifactSelector(Value):
    """An output artifact of a task inside a DAG."""

    producer_subtask: str
    output_artifact_key: str


class DagOutputArtifact(Value):
    """Where a DAG takes an output artifact from; of several, the first whose task ran."""

    artifact_selectors: tuple[ArtifactSelector, ...]


class DagOutputs(Value):
    """What a DAG gives, by name."""

    artifacts: Mapping[str, DagOutputArtifact] = Field(default_factory=dict)
    parameters: Mapping[str, DagOutputParameter] = Field(default_factory=dict)


class Dag(Value):
    """Tasks and what comes out of them."""

    tasks: Mapping[str, Task]
    outputs: DagOutputs | None = None


class Component(Value):
    """What a task can be made of: inputs, outputs, and either a DAG or an executor."""

    input_definitions: InputDefinitions = InputDefinitions()
    output_definitions: OutputDefinitions = OutputDefinitions()
    dag: Dag | None = None
    executor_label: str = ""
    single_platform_specs: tuple[Any, ...] = ()
    task_config_passthroughs: tuple[Any, ...] = ()


class EnvironmentVariable(Value):
    """One environment variable of a container."""

    name: str
    value: str = ""


class Accelerator(Value):
    """Accelerators a container asks for, e.g. two of `nvidia.com/gpu`."""

    resource_type: str = ""
    resource_count: str = ""
    type: str = ""
    count: str | int = ""


class Resources(Value):
    """CPU, memory and accelerators of a container, as Kubernetes quantities."""

    resource_cpu_limit: str = ""
    resource_memory_limit: str = ""
    resource_cpu_request: str = ""
    resource_memory_request: str = ""
    accelerator: Accelerator | None = None
    # The numeric fields (cores, GB) are deprecated; the SDK still writes them beside the text ones.
    cpu_limit: float = 0
    memory_limit: float = 0
    cpu_request: float = 0
    memory_request: float = 0


class Container(Value):
    """A program in an image, with placeholders in its command and arguments."""

    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[EnvironmentVariable, ...] = ()
    resources: Resources | None = None
    lifecycle: Any = None


class Importer(Value):
    """Makes an artifact out of a URI."""

    artifact_uri: RuntimeValue
    type_schema: ArtifactType
    metadata: Mapping[str, Any] = Field(default_factory=dict)
    properties: Mapping[str, Any] = Field(default_factory=dict)
    custom_properties: Mapping[str, Any] = Field(default_factory=dict)
    reimport: bool = False
    download_to_workspace: bool = False


class Executor(Value):
    """What runs: a container or an importer; resolvers and custom jobs run nowhere but on Vertex."""

    container: Container | None = None
    importer: Importer | None = None
    resolver: Any = None
    custom_job: Any = None


class Deployment(Value):
    """The executors, by label."""

    executors: Mapping[str, Executor] = Field(default_factory=dict)


class PipelineInfo(Value):
    """A pipeline's name, as the server and the UI show it."""

    name: str
    display_name: str = ""
    description: str = ""


class PipelineSpec(Value):
    """A whole pipeline."""

    pipeline_info: PipelineInfo
    root: Component
    components: Mapping[str, Component] = Field(default_factory=dict)
    deployment_spec: Deployment = Deployment()
    default_pipeline_root: str = ""
    schema_version: str = "2.1.0"
    sdk_version: str = ""
