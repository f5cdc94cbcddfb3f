"""What runs on a node: containerd, the kubelet, the proxy of services, and the names of services."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import yaml

from bed import images
from bed.control import Control
from bed.processes import NotStartedError, Processes
from bed.worker import CNI, NAME, Place

# A pod runs here only where its namespace says so: tests of other things find no node, on every machine alike.
TAINT = {"key": "orchestrator-tests/node", "value": "real", "effect": "NoSchedule"}
DOMAIN = "cluster.local"


def start(control: Control, place: Place, processes: Processes) -> None:
    """Everything; returns once the node is ready."""
    _containerd(place, processes)
    load(place, images.pause(control.programs / "pause", place.folder / "pause.tar"))
    _names(control, place, processes)
    _kubelet(control, place, processes)
    _proxy(control, place, processes)
    kubectl = [str(control.programs / "kubectl"), "--kubeconfig", str(control.kubeconfig)]

    def ready() -> bool:
        path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}{.spec.taints[*].key}"
        done = subprocess.run([*kubectl, "get", "node", NAME, "--output", path], capture_output=True, check=False)
        return done.stdout.decode() == f"True{TAINT['key']}"

    processes.wait("the node", ready)


def importing(place: Place) -> list[str]:
    """The command that gives the node the image of an archive."""
    return place.inside("ctr", f"--address={place.socket}", "--namespace=k8s.io", "images", "import")


def load(place: Place, archive: Path) -> None:
    """Give the node an image, from an archive as `docker save` writes it."""
    done = subprocess.run([*importing(place), str(archive)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotStartedError(f"the image {archive.name} cannot be imported: {done.stderr.strip()[-500:]}")


def _containerd(place: Place, processes: Processes) -> None:
    network = {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods",
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": place.pods}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
            {"type": "loopback"},
        ],
    }
    folder = place.folder / "cni"
    folder.mkdir()
    (folder / "10-pods.conflist").write_text(json.dumps(network))
    # A user without the right to raise limits cannot lower the score below that of containerd itself either.
    config = f"""version = 2
root = "{place.folder}/images"
state = "/run/containerd"
[grpc]
  address = "{place.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{images.PAUSE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{CNI}"
  conf_dir = "{folder}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
"""
    file = place.folder / "containerd.toml"
    file.write_text(config)
    processes.start("containerd", place.inside("containerd", f"--config={file}"))
    processes.wait("containerd", place.socket.exists, 30)


def _names(control: Control, place: Place, processes: Processes) -> None:
    """Services are found by name."""
    user = control.user("coredns", "system:coredns", group="system:masters")
    file = place.folder / "Corefile"
    told = f"kubernetes {DOMAIN} in-addr.arpa {{\n    kubeconfig {user}\n  }}"
    file.write_text(f".:53 {{\n  bind {place.node}\n  errors\n  {told}\n}}\n")
    processes.start("coredns", place.inside(str(control.programs / "coredns"), "-conf", str(file)))


def _kubelet(control: Control, place: Place, processes: Processes) -> None:
    serving = control.authority.pair("kubelet", f"system:node:{NAME}", group="system:nodes", addresses=[place.node])
    resolve = place.folder / "resolv.conf"
    resolve.write_text(f"nameserver {place.node}\n")
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": str(control.authority.file)}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "containerRuntimeEndpoint": f"unix://{place.socket}",
        "clusterDNS": [place.node],
        "clusterDomain": DOMAIN,
        "resolvConf": str(resolve),
        "registerWithTaints": [TAINT],
        # What a virtual machine lacks: control groups of the second version, and a tree of them of its own.
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "serializeImagePulls": False,
        "healthzPort": 0,
    }
    file = place.folder / "kubelet.yaml"
    file.write_text(yaml.safe_dump(config))
    options = {
        "config": file,
        "kubeconfig": control.user("worker", f"system:node:{NAME}", group="system:nodes"),
        "hostname-override": NAME,
        "node-ip": place.node,
        "node-labels": "orchestrator-tests/node=real",
    }
    told = [f"--{name}={value}" for name, value in options.items()]
    processes.start("kubelet", place.inside(str(control.programs / "kubelet"), *told))


def _proxy(control: Control, place: Place, processes: Processes) -> None:
    options = {
        "kubeconfig": control.user("kube-proxy", "system:kube-proxy"),
        "hostname-override": NAME,
        "proxy-mode": "iptables",
        "cluster-cidr": place.pods,
        "bind-address": "0.0.0.0",
        "conntrack-max-per-core": 0,
        "conntrack-tcp-timeout-established": 0,
        "conntrack-tcp-timeout-close-wait": 0,
        "healthz-bind-address": f"{place.node}:10256",
        "metrics-bind-address": f"{place.node}:10249",
    }
    told = [f"--{name}={value}" for name, value in options.items()]
    processes.start("kube-proxy", place.inside(str(control.programs / "kube-proxy"), *told))
