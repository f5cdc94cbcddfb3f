"""A component that starts work elsewhere is told what is set on its task; what is only passed on is not its own."""

from kfp import dsl, kubernetes
from kfp.dsl import TaskConfigField, TaskConfigPassthrough


@dsl.component(
    base_image="python:3.11",
    install_kfp_package=False,
    task_config_passthroughs=[
        TaskConfigField.RESOURCES,
        TaskConfigPassthrough(field=TaskConfigField.ENV, apply_to_task=True),
        TaskConfigField.KUBERNETES_TOLERATIONS,
        TaskConfigField.KUBERNETES_NODE_SELECTOR,
        TaskConfigField.KUBERNETES_AFFINITY,
        TaskConfigField.KUBERNETES_VOLUMES,
    ],
)
def everything(config: dsl.TaskConfig, memory: str = "4Gi") -> dict:
    import dataclasses
    import os

    return {**dataclasses.asdict(config), "own": os.environ.get("MODE")}


@dsl.component(base_image="python:3.11", install_kfp_package=False, task_config_passthroughs=[TaskConfigField.ENV])
def elsewhere(config: dsl.TaskConfig) -> list:
    import os

    return [config.env, config.resources, os.environ.get("MODE")]


@dsl.container_component
def as_json(config: dsl.TaskConfig, out: dsl.OutputPath(dict)):
    return dsl.ContainerSpec(image="x", command=["sh", "-c", 'printf %s "$0" > "$1"'], args=[config, out])


@dsl.pipeline(name="task-config")
def pipeline(size: str = "8Gi") -> dict:
    told = everything()
    told.set_cpu_limit("2").set_cpu_request("500m").set_memory_limit(size)
    told.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
    told.set_env_variable("MODE", "fast")
    kubernetes.add_node_selector(told, "disk", "ssd")
    kubernetes.add_toleration(told, key="gpu", operator="Exists", effect="NoSchedule")
    kubernetes.add_node_affinity(told, match_expressions=[{"key": "zone", "operator": "In", "values": ["a"]}], weight=3)
    kubernetes.mount_pvc(
        told,
        "cache",
        "/cache",
    )
    kubernetes.use_secret_as_volume(told, "token", "/token", optional=True)
    elsewhere().set_env_variable("MODE", "slow")
    as_json()
    return told.output
