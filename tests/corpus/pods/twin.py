"""The pipeline `pods` in the KFP DSL."""

from in_kfp import need
from kfp import dsl, kubernetes


@dsl.pipeline(name="pods")
def pipeline():
    plain = need(text="a").set_env_variable("MODE", "usual")
    kubernetes.use_config_map_as_env(plain, "shared", {"address": "ADDRESS"}, optional=True)
    kubernetes.use_secret_as_env(plain, "shared", {"token": "TOKEN"}, optional=True)
    kubernetes.use_secret_as_volume(plain, "account", "/account", optional=True)
    kubernetes.empty_dir_mount(plain, "scratch-2", "/cache")
    kubernetes.set_security_context(plain, run_as_non_root=True)

    own = need(text="b").set_env_variable("ADDRESS", "http://mine")
    own.set_memory_request("4Gi").set_memory_limit("4Gi")
    kubernetes.use_config_map_as_env(own, "open", {"token": "TOKEN"}, optional=False)
    kubernetes.use_secret_as_env(own, "shared", {"mode": "MODE"}, optional=True)
    kubernetes.use_config_map_as_volume(own, "account", "/account/", optional=False)
    kubernetes.empty_dir_mount(own, "scratch-1", "/cache")
    kubernetes.empty_dir_mount(own, "scratch-3", "/scratch", size_limit="1Gi")
    kubernetes.empty_dir_mount(own, "shared-memory", "/dev/shm", "Memory", "1Gi")
    kubernetes.set_security_context(own, run_as_user=1000, run_as_group=100)
    kubernetes.set_image_pull_policy(own, "Always")
    kubernetes.set_image_pull_secrets(own, ["registry", "other-registry"])
    kubernetes.add_pod_annotation(own, "example.com/why", "because, it is so")
    kubernetes.add_pod_label(own, "orchestrator/priority", "urgent")
    for each, team in ((plain, "research"), (own, "platform")):
        kubernetes.add_pod_label(each, "project", "penguins")
        kubernetes.add_pod_label(each, "team", team)
        kubernetes.add_pod_annotation(each, "sidecar.istio.io/inject", "false")
