"""Where requests of the queue may be read from, and where their answers go."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from orchestrator.serving.background import Asynchronous
from orchestrator.stores import artifacts

LONGEST = 2048


def output(wanted: Asynchronous, endpoint: str, id: str, state: Path) -> str:
    """Where the answer goes. A relative path is one below the state folder."""
    return _below(wanted.output, endpoint, f"{id}.out", state)


def failure(wanted: Asynchronous, endpoint: str, id: str, state: Path) -> str:
    """Where the reason goes if there is no answer."""
    return _below(wanted.failure or wanted.output, endpoint, f"{id}-error.out", state)


def is_allowed(uri: str, prefixes: Iterable[str], state: Path) -> bool:
    """Whether a client may name this URI: it lies below one that the endpoint file names, however it is written."""
    # Of fsspec's chains ("zip://a::file:///b") the first part says nothing about where the last one leads.
    if len(uri) > LONGEST or "::" in uri or "\\" in uri or not uri.isprintable():
        return False
    try:
        if artifacts.is_remote(uri):
            return any(_is_below(uri, prefix) for prefix in prefixes if artifacts.is_remote(prefix))
        return any(_is_in(uri, prefix, state) for prefix in prefixes if not artifacts.is_remote(prefix))
    except (ValueError, OSError):  # No URI, or a path that cannot be followed.
        return False


def _below(place: str, endpoint: str, name: str, state: Path) -> str:
    if artifacts.is_remote(place):
        return f"{place.rstrip('/')}/{endpoint}/{name}"
    return str(state / artifacts.local_path(place) / endpoint / name)


def _is_below(uri: str, prefix: str) -> bool:
    asked, allowed = urlsplit(uri), urlsplit(prefix)
    if (asked.scheme, asked.netloc) != (allowed.scheme, allowed.netloc) or asked.fragment:
        return False
    path = unquote(asked.path)
    if {".", ".."} & set(path.split("/")) or not path.isprintable() or "\\" in path:
        return False
    return path.startswith(allowed.path.rstrip("/") + "/")


def _is_in(uri: str, prefix: str, state: Path) -> bool:
    """Links are followed: what counts is where a path ends."""
    given = artifacts.local_path(uri)
    if not given.is_absolute():
        return False
    path = Path(os.path.realpath(given))
    root = Path(os.path.realpath(state / artifacts.local_path(prefix)))
    return path != root and path.is_relative_to(root) and (path.is_file() or not path.exists())
