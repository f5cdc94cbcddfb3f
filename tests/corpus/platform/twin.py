"""The pipeline `platform` in the KFP DSL."""

from in_kfp import say
from kfp import dsl, kubernetes


@dsl.pipeline(name="platform")
def pipeline():
    task = say(text="a")
    task.set_cpu_request("500m").set_cpu_limit("2").set_memory_request("2Gi").set_memory_limit("2Gi")
    task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(2)
    task.set_env_variable("SIZE", "3")
    kubernetes.add_node_selector(task, "pool", "gpu")
    kubernetes.add_node_selector(task, "nvidia.com/gpu.product", "NVIDIA-H200")
    kubernetes.add_toleration(task, "nvidia.com/gpu", "Exists", effect="NoSchedule")
    kubernetes.add_toleration(task, "spot", "Equal", "true", "NoExecute", 60)
    kubernetes.add_node_affinity(task, [{"key": "zone", "operator": "In", "values": ["a", "b"]}])
    kubernetes.add_node_affinity(task, [{"key": "ssd", "operator": "Exists"}], weight=10)
    kubernetes.use_secret_as_env(task, "database", {"password": "PASSWORD"}, optional=False)
    kubernetes.use_config_map_as_env(task, "settings", {"mode": "MODE"}, optional=False)
    kubernetes.mount_pvc(task, "datasets", "/data", "penguins")
    kubernetes.empty_dir_mount(task, "scratch-2", "/dev/shm", "Memory", "1Gi")
    kubernetes.use_secret_as_volume(task, "keys", "/keys", optional=True)
    kubernetes.use_config_map_as_volume(task, "settings", "/settings", optional=False)
    other = say(text="b").set_cpu_request("0.5").set_cpu_limit("0.5").set_memory_limit("512M")
    for each in (task, other):
        kubernetes.add_pod_label(each, "project", "penguins")
        kubernetes.add_pod_label(each, "team", "research")
    kubernetes.add_pod_label(task, "step", "first")
