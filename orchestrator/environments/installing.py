"""Runs uv: what it is told, in which environment, what it said. No password in an address is shown to anybody."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PASSWORD = re.compile(r"://[^/\s@'\"]+@")
_NETWORK = re.compile(r"failed to fetch|network|dns error|timed out|retries|connect", re.IGNORECASE)
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Said:
    """How a program ended."""

    code: int
    gist: str
    """What it said, on one line."""

    @property
    def is_offline(self) -> bool:
        """Whether it failed for want of a network, or of an answer."""
        return _NETWORK.search(self.gist) is not None


def install(
    uv: str,
    asked: Mapping[str, Any],
    options: Sequence[str],
    root: Path,
    lock: int,
    *,
    hasty: bool = False,
    quiet: bool = False,
) -> Said:
    """Run `uv pip install` beside the environments in `root`; what it said.

    Addresses go through variables, and packages through standard input: no list of processes shows a password.
    """
    if not asked["packages"]:
        return Said(0, "")
    # As pip has it: the best version of all indexes.
    given = {**variables(root), "UV_INDEX_STRATEGY": "unsafe-best-match"}
    for name, values in (
        ("UV_DEFAULT_INDEX", [asked["index"]]),
        ("UV_EXTRA_INDEX_URL", asked["indexes"]),
        ("UV_INSECURE_HOST", _hosts(asked["trusted"])),
    ):
        if any(values):
            given[name] = " ".join(values)
    if hasty:
        given.setdefault("UV_HTTP_RETRIES", "0")
    if asked["links"]:
        given["UV_FIND_LINKS"] = ",".join(asked["links"])
    more = [*(["--no-deps"] if asked["bare"] else []), *(["--prerelease=allow"] if asked["pre"] else [])]
    if given.get("PIP_NO_INDEX", "0").lower() not in ("", "0", "false", "no", "off"):
        more.append("--no-index")
    line = [uv, "pip", "install", *more, *options, "--requirements", "-"]
    return run(line, given, root, lock, typed="\n".join(asked["packages"]) + "\n", quiet=quiet)


def run(
    words: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    lock: int,
    *,
    typed: str = "",
    quiet: bool = False,
) -> Said:
    """Run a program that dies with this one, and holds the lock for as long as it lives."""
    said: list[str] = []
    with subprocess.Popen(
        list(words),
        # Not in the project, whose own settings for uv are not meant for this.
        cwd=folder if folder.is_dir() else "/",
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[lock] if lock >= 0 else [],
        preexec_fn=_die_with_parent,  # noqa: PLW1509  There are no threads here.
    ) as program:
        if program.stdin:
            with contextlib.suppress(BrokenPipeError):
                program.stdin.write(typed.encode())
                program.stdin.close()
        for line in program.stdout or ():
            text = redacted(line.decode("utf-8", "replace").rstrip())
            if text.startswith("Using Python "):
                continue
            said.append(text)
            if not quiet:
                # Not as it is: a line of it that begins with `error:` would be taken for the reason of the task.
                print(f"{Path(words[0]).name}: {text}", flush=True)
    return Said(program.returncode, _gist(said))


def _gist(said: Sequence[str]) -> str:
    """What a program said on one line, without the frames uv draws; of its causes the first two and the last."""
    lines = [each for line in said if (each := line.strip("\u00d7\u2570\u2500\u25b6\u2502\u251c\t "))]
    chains = re.split(r"(?:^|\s)cause: ", " ".join(lines).removeprefix("error: "))
    text = ": ".join(dict.fromkeys([*chains[:2], chains[-1]]))
    return text if len(text) <= 400 else f"{text[:400]} ..."


def redacted(text: str) -> str:
    """A text without the passwords of the addresses in it."""
    return _PASSWORD.sub("://***@", text)


def _die_with_parent() -> None:
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def variables(root: Path) -> dict[str, str]:
    """The environment of uv: what pip was told about indexes and certificates, and nothing of the caller's Python."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "UV_PYTHON", "UV_SYSTEM_PYTHON")
        and not name.startswith(("UV_PROJECT", "UV_TARGET", "UV_PREFIX"))
    }
    for ours, theirs in (
        ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"),
        ("UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"),
        ("UV_CONSTRAINT", "PIP_CONSTRAINT"),
        ("SSL_CERT_FILE", "PIP_CERT"),
        ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
    ):
        if kept.get(theirs) and not kept.get(ours) and not (ours == "UV_DEFAULT_INDEX" and kept.get("UV_INDEX_URL")):
            kept[ours] = kept[theirs]
    if kept.get("PIP_FIND_LINKS") and not kept.get("UV_FIND_LINKS"):
        kept["UV_FIND_LINKS"] = kept["PIP_FIND_LINKS"].replace(" ", ",")
    if kept.get("PIP_TRUSTED_HOST") and not kept.get("UV_INSECURE_HOST"):
        kept["UV_INSECURE_HOST"] = " ".join(_hosts(kept["PIP_TRUSTED_HOST"].split()))
    if "UV_CACHE_DIR" not in kept and not _is_writable(_cache(kept)):
        kept["UV_CACHE_DIR"] = str(root / "uv")
    return {**kept, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}


def _cache(environment: Mapping[str, str]) -> Path:
    """Where uv keeps what it has fetched."""
    return Path(environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or "/", ".cache"), "uv")


def _is_writable(folder: Path) -> bool:
    """Whether a folder can be written to, or made where the nearest one above it is."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _hosts(listed: Sequence[str]) -> list[str]:
    """The hosts whose certificates are not checked. The SDK also writes whole addresses, by which pip trusts nobody."""
    return [each for each in listed if "://" not in each]
