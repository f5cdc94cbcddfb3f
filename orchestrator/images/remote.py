"""What an image registry says of an image: the digest it has there. Asked by HTTP, with the login that Docker keeps."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import BackendError
from orchestrator.images import reference
from orchestrator.images.reference import Reference

_SECONDS = 20.0
_KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_HUB = "registry-1.docker.io"
_HUB_LOGIN = "https://index.docker.io/v1/"
_ASKED = re.compile(r'(\w+)="([^"]*)"')
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks; both empty for nobody in particular."""

    user: str = ""
    password: str = ""

    @property
    def header(self) -> Mapping[str, str]:
        """As HTTP sends it."""
        if not self.user:
            return {}
        return {"Authorization": f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a registry said of an image."""

    digest: str = ""
    """"" for an image it does not have, or does not show."""
    refused: bool = False
    """Whether it would not say."""


def ask(image: Reference, environment: Mapping[str, str]) -> Answer:
    """The digest of an image in its registry. Raises BackendError when the registry does not answer."""
    host = image.registry or reference.HUB
    login = _login(host, environment)
    place = _HUB if host == reference.HUB else host
    name = image.repository if image.registry or "/" in image.repository else f"library/{image.repository}"
    path = f"/v2/{name}/manifests/{image.digest or image.tag or 'latest'}"
    problem: OSError | http.client.HTTPException | None = None
    for scheme in ("http", "https") if reference.is_loopback(host) else ("https",):
        try:
            return _digest(f"{scheme}://{place}{path}", login, environment)
        except (OSError, http.client.HTTPException) as error:
            problem = problem or error
    raise BackendError(f"image registry {host}", f"it does not answer: {_why(problem)}") from problem


def _digest(url: str, login: Login, environment: Mapping[str, str]) -> Answer:
    headers = {"Accept": ", ".join(_KINDS)}
    status, said = _send(url, headers, environment)
    if status == http.HTTPStatus.UNAUTHORIZED:
        asked = _header(said, "WWW-Authenticate")
        allowed = _token(asked, login, environment) if asked.lower().startswith("bearer") else login.header
        status, said = _send(url, {**headers, **allowed}, environment) if allowed else (status, said)
    if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return Answer(refused=True)
    found = _header(said, "Docker-Content-Digest")
    return Answer(found if status == http.HTTPStatus.OK and _DIGEST.fullmatch(found) else "")


def _header(said: Mapping[str, str], name: str) -> str:
    return next((value for each, value in said.items() if each.lower() == name.lower()), "")


def _token(asked: str, login: Login, environment: Mapping[str, str]) -> Mapping[str, str]:
    """The header that a registry's own place for tokens gives; nothing when that does not."""
    parts = dict(_ASKED.findall(asked))
    realm = parts.pop("realm", "")
    if not realm.startswith("https://") and not reference.is_loopback(urllib.parse.urlsplit(realm).netloc):
        return {}  # A login is sent through a safe channel, or not at all.
    request = urllib.request.Request(f"{realm}?{urllib.parse.urlencode(parts)}", headers=dict(login.header))  # noqa: S310
    try:
        with _opener(request, environment).open(request, timeout=_SECONDS) as answer:
            given = json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    token = given.get("token") or given.get("access_token") if isinstance(given, dict) else ""
    return {"Authorization": f"Bearer {token}"} if token else {}


def _send(url: str, headers: Mapping[str, str], environment: Mapping[str, str]) -> tuple[int, Mapping[str, str]]:
    request = urllib.request.Request(url, headers=dict(headers), method="HEAD")  # noqa: S310  Its scheme is ours.
    try:
        with _opener(request, environment).open(request, timeout=_SECONDS) as answer:
            return answer.status, dict(answer.headers.items())
    except urllib.error.HTTPError as error:
        with error:
            if error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
                raise http.client.HTTPException(f"HTTP {error.code} {error.reason}") from error
            return error.code, dict(error.headers.items())


class _Stay(urllib.request.HTTPRedirectHandler):
    """A login is not carried on to wherever an answer points."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _opener(request: urllib.request.Request, environment: Mapping[str, str]) -> urllib.request.OpenerDirector:
    if request.type == "http":
        return urllib.request.build_opener(_Stay, urllib.request.ProxyHandler({}))  # It is this machine.
    bundle = environment.get("SSL_CERT_FILE") or environment.get("REQUESTS_CA_BUNDLE")
    context = ssl.create_default_context(cafile=bundle if bundle and Path(bundle).is_file() else None)
    return urllib.request.build_opener(_Stay, urllib.request.HTTPSHandler(context=context))


def _login(host: str, environment: Mapping[str, str]) -> Login:
    """The login that `docker login` or `podman login` keeps for a registry."""
    for file in _files(environment):
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(kept, dict):
            for name in (host, f"https://{host}", *((_HUB_LOGIN,) if host == reference.HUB else ())):
                found = _kept(kept, name)
                if found:
                    return found
    return Login()


def _files(environment: Mapping[str, str]) -> list[Path]:
    home = Path(environment.get("HOME") or "/")
    docker = Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    podman = environment.get("REGISTRY_AUTH_FILE") or ""
    runtime = Path(environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}") / "containers/auth.json"
    return [*([Path(podman)] if podman else []), docker, runtime]


def _kept(kept: Mapping[str, Any], host: str) -> Login | None:
    held = (kept.get("auths") or {}).get(host) or {}
    if held.get("auth"):
        try:
            user, _, password = base64.b64decode(held["auth"]).decode().partition(":")
        except ValueError:
            return None
        return Login(user, password)
    helper = (kept.get("credHelpers") or {}).get(host) or (
        kept.get("credsStore") if host in (kept.get("auths") or {}) else ""
    )
    if not helper or not re.fullmatch(r"[\w.-]+", helper):
        return None
    try:
        done = subprocess.run(
            [f"docker-credential-{helper}", "get"],
            input=host,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
        given = json.loads(done.stdout)
        return Login(str(given["Username"]), str(given["Secret"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None


def _why(problem: Exception | None) -> str:
    """What went wrong with a connection, in words."""
    reason = getattr(problem, "reason", None) or problem
    told = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return str(told)
