"""One frozen object from environment and file, read once in `cli`.

The file is `orc.toml` in the working directory; an environment variable `ORC_<NAME>` wins over it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from orchestrator.errors import Location, PipelineError, Problem, did_you_mean

NO_PLUGINS = ("PYDANTIC_DISABLE_PLUGINS", "true")
"""A variable of the command's own process, and of no task."""
STATE = ".orc"
FILE = "orc.toml"
COMPLETE = "COMPLETE"
FINAL_STATUS = ("SUCCEEDED", COMPLETE)
_VARIABLES = ("kfp_token", "kfp_cookies")
_FILES = ("kfp_token_file", "kfp_ca")
_OF_CLUSTERS = ("kfp_", "images_", "cluster_")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where state is kept and how much runs at once."""

    state: Path
    """The state folder, absolute: runs, artifacts, cache, registry, endpoints."""
    workers: int
    """How many tasks run at once on this machine."""
    tracking_uri: str
    """The MLflow registry; by default a SQLite file in the state folder."""
    final_status: str = FINAL_STATUS[0]
    """What an exit task is told of a group that succeeded: SUCCEEDED, or COMPLETE as by KFP's server on a cluster."""
    containers_engine: str = ""
    """The program of the container engine; "" for Docker, or Podman where Docker does not answer."""
    environments: Path = Path("environments")
    """Where the environments of programs are kept, absolute; by default shared by all projects of a user."""
    secrets: Path | None = None
    """The file of secrets and config maps; None stands for `secrets.yaml` in the state folder, which need not exist."""
    kfp_url: str = ""
    """Where the API of Kubeflow Pipelines is; "" where no cluster is used."""
    kfp_namespace: str = ""
    """The namespace runs belong to, where Kubeflow has one for each profile; "" where it has one for all."""
    kfp_token: str = field(default="", repr=False)
    """What we log in with; from the environment only, lest a file of the project holds it."""
    kfp_token_file: Path | None = None
    """The file that holds it, read again whenever it is needed: a cluster renews what it mounts."""
    kfp_cookies: str = field(default="", repr=False)
    """What a login in the browser left, where there is no token; from the environment only."""
    kfp_ca: Path | None = None
    """The certificates that vouch for the server, where the system's own do not."""
    kfp_service_account: str = "orchestrator-runner"
    """The account of the cluster that tasks run as."""
    kfp_files: str = ""
    """Where files of this machine are put for tasks of a cluster: a URI that fsspec writes."""
    kfp_files_in_cluster: str = ""
    """The same place as tasks name it; by default it is called the same."""
    images_registry: str = ""
    """Where images are pushed to."""
    cluster_context: str = ""
    """The context of the kubeconfig; "" for its current one."""
    cluster_namespace: str = ""
    """The namespace of the cluster that is worked in; "" for that of the context."""


def read(environment: Mapping[str, str], folder: Path) -> Settings:
    """Settings for a command started in `folder`. Raises PipelineError for a file that cannot be used."""
    written = _file(folder / FILE)

    def value(name: str, default: str) -> str:
        return environment.get(f"ORC_{name.upper()}") or str(written.get(name, default))

    state = _path("state", Path(value("state", "")) if value("state", "") else _nearest(folder), folder)
    secrets = value("secrets", "")
    default_uri = environment.get("MLFLOW_TRACKING_URI") or f"sqlite:///{state / 'mlflow.db'}"
    cores = os.cpu_count() or 1
    return Settings(
        state=state,
        # Tasks wait for disks and networks as often as they compute, so a small machine still gets four.
        workers=_number("workers", value("workers", str(max(4, cores))), 1, 1024),
        tracking_uri=value("tracking_uri", default_uri),
        final_status=_one_of("final_status", value("final_status", FINAL_STATUS[0]), FINAL_STATUS),
        containers_engine=value("containers_engine", ""),
        environments=_environments(value("environments", ""), environment, folder, state),
        secrets=_path("secrets", Path(secrets), folder) if secrets else None,
        **_of_clusters(value, environment, folder),
    )


def _of_clusters(value: Callable[[str, str], str], environment: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """The settings that are about clusters."""
    found: dict[str, Any] = {}
    for each in fields(Settings):
        if each.name in _VARIABLES:
            found[each.name] = environment.get(f"ORC_{each.name.upper()}", "")
        elif each.name in _FILES:
            written = value(each.name, "")
            found[each.name] = _path(each.name, Path(written), folder) if written else None
        elif each.name.startswith(_OF_CLUSTERS):
            found[each.name] = value(each.name, str(each.default))
    return found


def _path(name: str, given: Path, folder: Path) -> Path:
    try:
        return (folder / given.expanduser()).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        place = Location(f"${{ORC_{name.upper()}}} or {FILE}")
        raise PipelineError([Problem(place, f"no usable path: {error}")]) from error


def _environments(written: str, environment: Mapping[str, str], folder: Path, state: Path) -> Path:
    """The folder of environments: as written, else the user's cache, or the state folder where that is read-only."""
    if written:
        return _path("environments", Path(written), folder)
    try:
        cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # Nobody's home.
        return state / "environments"
    shared = cache / "orchestrator" / "environments"
    above = next(each for each in (shared, *shared.parents) if each.exists())
    usable = shared.is_absolute() and above.is_dir() and os.access(above, os.W_OK | os.X_OK)
    return shared if usable else state / "environments"


def _nearest(folder: Path) -> Path:
    """The state folder of the project: the nearest one above, else one to be made here."""
    for parent in (folder, *folder.parents):
        if (parent / STATE / "state.db").is_file():
            return parent / STATE
    return folder / STATE


def _file(path: Path) -> dict[str, Any]:
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PipelineError([Problem(Location(str(path)), f"cannot be used: {error}")]) from error
    known = [each.name for each in fields(Settings) if each.name not in _VARIABLES]
    unknown = [name for name in written if name not in known]
    if unknown:
        raise PipelineError(Problem(Location(str(path)), *_unknown(name, known)) for name in unknown)
    return written


def _unknown(name: str, known: Sequence[str]) -> tuple[str, str]:
    if name in _VARIABLES:
        hint = f"ORC_{name.upper()} in the environment" + ("; or kfp_token_file" if name == "kfp_token" else "")
        return f"{name!r} is a secret, and so no setting of a file", hint
    return f"unknown setting {name!r}", did_you_mean(name, known)


def _number(name: str, text: str, low: int, high: int) -> int:
    if text.isascii() and text.isdigit() and low <= int(text) <= high:
        return int(text)
    message = f"setting {name!r}: expected a whole number from {low} to {high}, not {text!r}"
    raise PipelineError([Problem(Location(f"${{ORC_{name.upper()}}} or {FILE}"), message)])


def _one_of(name: str, text: str, choices: tuple[str, ...]) -> str:
    if text in choices:
        return text
    message = f"setting {name!r}: expected {' or '.join(choices)}, not {text!r}"
    hint = did_you_mean(text, choices)
    raise PipelineError([Problem(Location(f"${{ORC_{name.upper()}}} or {FILE}"), message, hint)])
