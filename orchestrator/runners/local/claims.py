"""Persistent volume claims on this machine: a claim is a folder, made and deleted by KFP's two tasks for it."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.digest import of_text
from orchestrator.errors import RunError
from orchestrator.ir.spec import Container

CREATE, DELETE = "argostub/createpvc", "argostub/deletepvc"
"""The images by which KFP's backend knows the tasks that run no program."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def folder(state: Path, name: str) -> Path:
    """The folder of a claim, which may not be there. Raises RunError for a name that no claim can have."""
    if not _NAME.fullmatch(name):
        raise RunError(f"{name!r} cannot be the name of a claim: lower case letters, digits, '-' and '.'")
    return state / "volumes" / name


def named(parameters: Mapping[str, Any], run: str, path: str) -> str:
    """The name of the claim a task makes: the one it was given, or one of its own with the suffix it was given."""
    given = str(parameters.get("pvc_name") or "")
    if given:
        return given
    suffix = str(parameters.get("pvc_name_suffix") or "").lstrip("-")
    owner = re.sub(r"[^a-z0-9]+", "-", run.lower()).strip("-")[:100] or "run"
    return "-".join(part for part in (owner, of_text(path)[:6], suffix) if part)


def perform(container: Container, parameters: Mapping[str, Any], state: Path, run: str, path: str) -> tuple[str, str]:
    """Make or delete a claim: its name, and what is odd about it. Raises RunError when it cannot be done."""
    try:
        if container.image == CREATE:
            name = named(parameters, run, path)
            return name, _create(state, name, parameters)
        name = str(parameters.get("pvc_name") or "")
        return name, _delete(state, name)
    except OSError as error:
        raise RunError(f"the volume of the claim {name!r}: {error}") from error


def _create(state: Path, name: str, parameters: Mapping[str, Any]) -> str:
    place = folder(state, name)
    if place.is_dir():
        return f"the claim {name!r} was there already, with what is in it"
    about = _about(state, name)
    about.parent.mkdir(parents=True, exist_ok=True)
    known = {key: value for key, value in parameters.items() if not key.startswith("pvc_name")}
    about.write_text(json.dumps({"uid": secrets.token_hex(8), **known}, indent=2, sort_keys=True), encoding="utf-8")
    place.mkdir(parents=True)
    return ""


def _delete(state: Path, name: str) -> str:
    """Of a link only the link goes: the folder it leads to is somebody's own."""
    place = folder(state, name)
    _about(state, name).unlink(missing_ok=True)
    if place.is_symlink():
        place.unlink()
        return f"the claim {name!r} was a link: the folder it led to is as it was"
    if not place.exists():
        return f"there was no claim {name!r}"
    shutil.rmtree(place)
    return ""


def identity(state: Path, name: str) -> str:
    """What tells a claim from a later one of the same name; "" when no run made it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return str(json.loads(_about(state, name).read_text(encoding="utf-8")).get("uid", ""))
    return ""


def _about(state: Path, name: str) -> Path:
    return state / "volumes" / ".claims" / f"{name}.json"
