"""The control plane: etcd, the API server, the controllers and the scheduler, as plain processes."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bed import certificates
from bed.certificates import Authority, Pair
from bed.processes import Processes, free_port

SERVICES, FIRST_SERVICE = "10.96.0.0/16", "10.96.0.1"
# An address of documentation: the object of the API server's own service must name one that is not loopback.
NOWHERE = "192.0.2.1"
NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
# Nodes that only look real send no heartbeat, and are believed for as long as the tests run.
BELIEVED = "24h"
# A namespace says by an annotation which taints its pods tolerate, so tests choose the nodes that are theirs.
ADMISSION = "NodeRestriction,PodTolerationRestriction"


@dataclass(frozen=True)
class Control:
    """A control plane that answers."""

    folder: Path
    programs: Path
    server: str
    authority: Authority
    admin: Pair
    kubeconfig: Path

    def user(self, name: str, subject: str, *, group: str = "", server: str = "") -> Path:
        """The kubeconfig of somebody."""
        pair = self.authority.pair(name, subject, group=group)
        return certificates.kubeconfig(
            self.folder / f"{name}.kubeconfig", server or self.server, self.authority.file, pair
        )


def start(folder: Path, programs: Path, processes: Processes, *, address: str = "127.0.0.1") -> Control:
    """A control plane that listens on `address`, with everything it keeps in `folder`."""
    trusted = certificates.authority(folder / "certificates")
    etcd = _etcd(folder, programs, processes)
    server = _server(folder, programs, processes, trusted, etcd, address)
    admin = trusted.pair("admin", "orchestrator-tests", group="system:masters")
    kubeconfig = certificates.kubeconfig(folder / "admin.kubeconfig", server, trusted.file, admin)
    made = Control(folder, programs, server, trusted, admin, kubeconfig)
    processes.wait("the API server", lambda: _answers(made))
    _controllers(made, processes)
    _scheduler(made, processes)
    return made


def _etcd(folder: Path, programs: Path, processes: Processes) -> tuple[str, Authority]:
    trusted = certificates.authority(folder / "certificates" / "etcd")
    pair = trusted.pair("server", "etcd", addresses=["127.0.0.1"])
    url, peer = f"https://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    options = {
        "name": "tests",
        "data-dir": folder / "etcd",
        "listen-client-urls": url,
        "advertise-client-urls": url,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"tests={peer}",
        "cert-file": pair.certificate,
        "key-file": pair.key,
        "client-cert-auth": "true",
        "trusted-ca-file": trusted.file,
        # What is lost with the machine is not missed.
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }
    processes.start("etcd", [str(programs / "etcd"), *_flags(options)])
    return url, trusted


def _server(
    folder: Path, programs: Path, processes: Processes, trusted: Authority, etcd: tuple[str, Authority], address: str
) -> str:
    url, etcd_trusted = etcd
    reached = "127.0.0.1" if address == "0.0.0.0" else address
    names = [*NAMES, "127.0.0.1", reached, FIRST_SERVICE]
    serving = trusted.pair("apiserver", "kube-apiserver", addresses=list(dict.fromkeys(names)))
    kubelet = trusted.pair("apiserver-kubelet-client", "kube-apiserver-kubelet-client", group="system:masters")
    client = etcd_trusted.pair("client", "kube-apiserver")
    key = certificates.signing_key(folder / "certificates" / "accounts.key")
    port = free_port(reached)
    options = {
        "bind-address": address,
        "secure-port": port,
        "advertise-address": NOWHERE if address in {"127.0.0.1", "0.0.0.0"} else address,
        "authorization-mode": "Node,RBAC",
        "anonymous-auth": "false",
        "enable-admission-plugins": ADMISSION,
        "allow-privileged": "true",
        "profiling": "false",
        "client-ca-file": trusted.file,
        "tls-cert-file": serving.certificate,
        "tls-private-key-file": serving.key,
        "kubelet-client-certificate": kubelet.certificate,
        "kubelet-client-key": kubelet.key,
        "kubelet-certificate-authority": trusted.file,
        "kubelet-preferred-address-types": "InternalIP",
        "etcd-servers": url,
        "etcd-cafile": etcd_trusted.file,
        "etcd-certfile": client.certificate,
        "etcd-keyfile": client.key,
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": key,
        "service-account-signing-key-file": key,
        "service-cluster-ip-range": SERVICES,
    }
    processes.start("kube-apiserver", [str(programs / "kube-apiserver"), *_flags(options)])
    return f"https://{reached}:{port}"


def _controllers(control: Control, processes: Processes) -> None:
    name = "kube-controller-manager"
    options = {
        "kubeconfig": control.user(name, f"system:{name}"),
        "use-service-account-credentials": "true",
        "service-account-private-key-file": control.folder / "certificates" / "accounts.key",
        "root-ca-file": control.authority.file,
        "cluster-signing-cert-file": control.authority.file,
        "cluster-signing-key-file": control.authority.folder / "ca.key",
        "node-monitor-grace-period": BELIEVED,
        "leader-elect": "false",
        "profiling": "false",
        "bind-address": "127.0.0.1",
        "secure-port": free_port(),
    }
    processes.start(name, [str(control.programs / name), *_flags(options)])


def _scheduler(control: Control, processes: Processes) -> None:
    name = "kube-scheduler"
    options = {
        "kubeconfig": control.user(name, f"system:{name}"),
        "leader-elect": "false",
        "profiling": "false",
        "bind-address": "127.0.0.1",
        "secure-port": free_port(),
    }
    processes.start(name, [str(control.programs / name), *_flags(options)])


def _flags(options: dict[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]


def _answers(control: Control) -> bool:
    context = ssl.create_default_context(cafile=str(control.authority.file))
    context.load_cert_chain(control.admin.certificate, control.admin.key)
    try:
        with urllib.request.urlopen(f"{control.server}/readyz", context=context, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False
