"""What an engine says while it builds and pushes: how far it is, and why it failed. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_HEADING = re.compile(r"(?:#\d+ (?:\[(?P<part>[^\]]*)\] )?|(?:\[\d+/\d+\] )?STEP \d+(?:/\d+)?: )(?P<what>.+)")
_PREFIX = re.compile(r"^#\d+ (?:\d+\.\d+ )?")
_DOING = (
    ("-r uv.txt", "fetching uv"),
    ("uv pip compile", "installing packages"),
    ("prepare.py packages", "compiling packages"),
    ("COPY code", "adding the code"),
    ("prepare.py code", "looking for what it imports"),
    ("COPY --from=builder", "putting it together"),
    ("exporting", "writing the image"),
    ("COMMIT", "writing the image"),
    ("load metadata", "asking for the base"),
    ("FROM", "fetching the base"),
)
_MISSING = re.compile(r"error: (?P<file>\S+) imports (?P<name>[\w.]+), which no requirements.txt asks for")
_NOISE = re.compile(
    r"-+|(> )?\[[^\]]*\] .*|sha256:[0-9a-f]{64}.*|(CANCELED|CACHED|DONE|transferring|resolve|naming to|exporting)\b.*"
    r"|\w*Dockerfile:\d+|\d+ \| .*|>>> .*|.*(executor failed running|did not complete successfully).*exit code: \d+"
)
_SHOWN = 12
_TOLD = (
    (
        re.compile(r"certificate|SSL|TLS handshake", re.IGNORECASE),
        "the certificates of your network: --ca FILE with the bundle your machine trusts",
    ),
    (re.compile(r"no space left on device", re.IGNORECASE), "there is no room left: docker system prune"),
    (
        re.compile(r"pull access denied|resolve source metadata|manifest unknown|copying system image|LLB definition"),
        "the base must be on this machine or in a registry it reaches: --base IMAGE",
    ),
    (
        re.compile(r"failed to fetch|not known|name resolution|dns error|on network bridge", re.IGNORECASE),
        "containers may have no network of their own here: --network host",
    ),
    (
        re.compile(
            r"No solution found|are incompatible|unsatisfiable|not found in the package registry", re.IGNORECASE
        ),
        "the requirements.txt of its components, and what --with adds, must go together",
    ),
)
_REFUSED = (
    (
        re.compile(r"denied|unauthorized|no basic auth|authentication required|forbidden", re.IGNORECASE),
        "it does not let you push there",
        "log in with `{engine} login {host}`, and see that you may write to it",
    ),
    (
        re.compile(r"HTTP response to HTTPS client", re.IGNORECASE),
        "it speaks HTTP, and {engine} expects HTTPS",
        "name it in the insecure registries of {engine}, or give it a certificate",
    ),
    (
        re.compile(r"connection refused|no such host|i/o timeout|timed out|no route|EOF", re.IGNORECASE),
        "it does not answer",
        "is {host} the right place, and does it run?",
    ),
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an image was not built or pushed."""

    message: str
    hint: str = ""


def doing(line: str) -> str:
    """What a line of a build's log begins, in words; "" for a line that begins nothing a person waits for."""
    found = _HEADING.match(line)
    if found is None:
        return ""
    return next((words for sign, words in _DOING if sign in found["what"]), "")


def failed(lines: Sequence[str], requirements: Sequence[str] = ()) -> Failure:
    """Why a build failed, from its log; `requirements` are the files that say what its programs need."""
    plain = [_PREFIX.sub("", line).rstrip() for line in lines]
    missing = dict.fromkeys((found["file"], found["name"]) for line in plain if (found := _MISSING.search(line)))
    if missing:
        told = "; ".join(f"{file} imports {name}, which no requirements.txt asks for" for file, name in missing)
        return Failure(told, f"add the package to {' or '.join(requirements)}" if requirements else "")
    kept = [line for line in plain if line.strip() and not _NOISE.fullmatch(line.strip())]
    last = list(dict.fromkeys(kept))[-_SHOWN:]
    hint = next((hint for pattern, hint in _TOLD if pattern.search("\n".join(last))), "")
    return Failure(
        "\n".join(["it said last:", *(f"    {line}" for line in last)]) if last else "it did not say why", hint
    )


def refused(lines: Sequence[str], engine: str, host: str) -> Failure:
    """Why a push failed, from what the engine said."""
    said = [line.strip() for line in lines if line.strip()]
    last = said[-1] if said else "it did not say why"
    for pattern, message, hint in _REFUSED:
        if pattern.search(last):
            return Failure(f"{message.format(engine=engine)}: {last}", hint.format(engine=engine, host=host))
    return Failure(last)
