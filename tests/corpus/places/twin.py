"""The pipeline `places` in the KFP DSL."""

from in_kfp import say
from kfp import dsl, kubernetes

SPOT = [
    ("cloud.google.com/gke-spot", "true"),
    ("eks.amazonaws.com/capacityType", "SPOT"),
    ("karpenter.sh/capacity-type", "spot"),
    ("kubernetes.azure.com/scalesetpriority", "spot"),
    ("orchestrator/spot", "true"),
]


def device(task, kind, count, product_label="", product=""):
    task.set_accelerator_type(kind).set_accelerator_limit(count)
    if product:
        kubernetes.add_node_selector(task, product_label, product)


def tolerate(task, key):
    kubernetes.add_toleration(task, key, "Exists", effect="NoSchedule")


def spot(task, demands):
    for key, value in SPOT:
        kubernetes.add_toleration(task, key, "Equal", value, "NoSchedule")
    for demand in demands:
        for key, value in SPOT:
            kubernetes.add_node_affinity(task, [*demand, {"key": key, "operator": "In", "values": [value]}])


def keep(task, claim, folder):
    task.set_env_variable("ORC_CHECKPOINTS", "/checkpoints")
    kubernetes.mount_pvc(task, claim, "/checkpoints", folder)


@dsl.pipeline(name="places")
def pipeline():
    gpu = say(text="a")
    device(gpu, "nvidia.com/gpu", 1, "nvidia.com/gpu.product", "NVIDIA-H200")
    tolerate(gpu, "nvidia.com/gpu")
    sliced = say(text="b")
    device(sliced, "nvidia.com/mig-1g.18gb", 1)
    tolerate(sliced, "nvidia.com/gpu")
    tolerate(sliced, "nvidia.com/mig-1g.18gb")
    other = say(text="c")
    device(other, "amd.com/gpu", 2, "amd.com/gpu.product-name", "MI300X")
    tolerate(other, "amd.com/gpu")
    device(say(text="d"), "nvidia.com/gpu", 1)
    one = say(text="e").set_retry(2, "30s", 2.0, "3600s")
    spot(one, [[]])
    keep(one, "orchestrator-checkpoints", "places/say-5")
    several = say(text="f")
    kubernetes.add_toleration(several, "mine", "Exists")
    in_a = [{"key": "zone", "operator": "In", "values": ["a"]}, {"key": "ssd", "operator": "Exists"}]
    spot(several, [in_a, [{"key": "zone", "operator": "In", "values": ["b"]}]])
    kubernetes.add_node_affinity(several, [{"key": "quiet", "operator": "Exists"}], weight=5)
    keep(several, "kept", "places/say-6")
