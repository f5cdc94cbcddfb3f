"""Which cluster, as whom: a kubeconfig, the account of the pod we are in, or a mounted token."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.cluster.api import Api
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.resources import Catalogue
from orchestrator.errors import BackendError, did_you_mean

POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds the token of its own account."""
_SYSTEM = "Kubernetes"


def connect(*, context: str = "", namespace: str = "", environment: Mapping[str, str]) -> Cluster:
    """A cluster by kubeconfig ($KUBECONFIG or ~/.kube/config), or, in a pod without one, by the pod's own account.

    `namespace` is where objects are that name none; by default the context's, or the pod's. Asks the server nothing.
    Raises BackendError.
    """
    named = environment.get("KUBECONFIG", "")
    files = named or str(Path(environment.get("HOME") or "~").expanduser() / ".kube" / "config")
    is_there = any(Path(each).expanduser().is_file() for each in files.split(":") if each)
    if not named and not is_there and "KUBERNETES_SERVICE_HOST" in environment and not context:
        return connect_with_token(POD, namespace=namespace, environment=environment)
    if not is_there:
        where = f"$KUBECONFIG names {named}, which does not exist" if named else f"there is no {files}"
        hint = "kind create cluster --config kind-config.yaml, or set KUBECONFIG"
        raise BackendError(_SYSTEM, f"no cluster is known: {where}", hint=hint)
    return _by_file(files, context, namespace)


def connect_with_token(folder: Path, *, namespace: str = "", environment: Mapping[str, str]) -> Cluster:
    """The cluster this pod is in, by a mounted service account token: `token`, `ca.crt` and `namespace` in a folder.

    The token is read for each request, because it is renewed in place. Raises BackendError.
    """
    from kubernetes import client

    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        message = f"the account of {folder} is of a pod, and this is none: KUBERNETES_SERVICE_HOST is not set"
        raise BackendError(_SYSTEM, message)

    def bearer() -> str:
        return f"Bearer {_text(folder / 'token').strip()}"

    bearer()
    configuration = client.Configuration()
    configuration.host = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    configuration.ssl_ca_cert = str(folder / "ca.crt")
    _text(folder / "ca.crt")
    if not namespace:
        with contextlib.suppress(BackendError):
            namespace = _text(folder / "namespace").strip()
    return _cluster(configuration, f"the account of {folder}", namespace, bearer)


def _by_file(files: str, context: str, namespace: str) -> Cluster:
    import yaml
    from kubernetes import client, config

    configuration = client.Configuration()
    with _complaints() as said:
        try:
            listed, active = config.list_kube_config_contexts(files)
            known = {each["name"]: each for each in listed}
            if context and context not in known:
                hint = did_you_mean(context, known) or "kubectl config get-contexts"
                raise BackendError(_SYSTEM, f"there is no context {context!r} in {files}", hint=hint)
            chosen = known[context] if context else active
            config.load_kube_config(files, chosen["name"], configuration, persist_config=False)
        except (config.ConfigException, yaml.YAMLError, OSError, KeyError, TypeError, ValueError) as error:
            raise _unusable(files, error) from error
    who = f"context {chosen['name']} of {files}"
    is_known = bool(configuration.api_key or configuration.cert_file)
    if said and not is_known:
        # The library goes on as nobody when the program fails that should log in.
        message = f"{who}: the program that logs in failed: {' '.join(' '.join(said).split())}"
        raise BackendError(_SYSTEM, message, hint="run it yourself, or log in again")
    if not configuration.verify_ssl:
        import urllib3

        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # The kubeconfig asks for it.

    def authorization() -> str | None:
        with _complaints():
            given: str | None = configuration.get_api_key_with_prefix("authorization")
        return given

    return _cluster(configuration, who, namespace or (chosen["context"].get("namespace") or ""), authorization)


def _cluster(configuration: Any, who: str, namespace: str, authorization: Callable[[], str | None]) -> Cluster:
    from kubernetes import client

    # Its pool brings TLS, client certificates and proxies; several threads may follow logs at once.
    configuration.connection_pool_maxsize = 8
    pool = client.ApiClient(configuration).rest_client.pool_manager
    api = Api(host=configuration.host.rstrip("/"), who=who, pool=pool, authorization=authorization)
    return Cluster(namespace=namespace or "default", api=api, catalogue=Catalogue(api))


def _unusable(files: str, error: Exception) -> BackendError:
    text = " ".join(str(error).split())
    named = re.search(r"object with name (\S*) ?in \S*contexts list", text)
    if named and named[1]:
        hint = "kubectl config get-contexts"
        return BackendError(_SYSTEM, f"{files}: its current context {named[1]} is not in it", hint=hint)
    if named or "current-context" in text:
        hint = "kubectl config use-context NAME, or --context NAME"
        return BackendError(_SYSTEM, f"{files} names no current context", hint=hint)
    return BackendError(_SYSTEM, f"{files} cannot be used: {text}", hint="kubectl config view shows what is in it")


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BackendError(_SYSTEM, f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BackendError(_SYSTEM, f"{path} is not text") from error
    if not text.strip():
        raise BackendError(_SYSTEM, f"{path} is empty")
    return text


@contextlib.contextmanager
def _complaints() -> Iterator[list[str]]:
    """What the library says on the root logger in here, kept from the terminal."""
    said: list[str] = []

    class _Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    root, kept = logging.getLogger(), _Kept()
    before, root.handlers = root.handlers, [kept]
    try:
        yield said
    finally:
        root.handlers = before
