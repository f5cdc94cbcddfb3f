"""How components written as a function start: what the KFP SDK has them install, and the program that follows.

Of a shell script, only what the SDK is known to write is recognised. Everything else is a program like any other.
"""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.environments import requirements
from orchestrator.environments.requirements import Install

FILE = "ephemeral_component.py"

_NEEDS_PIP = re.compile(
    r'\s*if ! \[ -x "\$\(command -v pip\)" \]; then\s+'
    r"python3 -m ensurepip \|\| python3 -m ensurepip --user \|\| apt-get install python3-pip\s+fi\s"
)
_VARIABLE = re.compile(r"[A-Za-z_]\w*=[^$`]*")
_PIP = re.compile(r"(^|[\s;&|(/])pip[\d.]*\s+install\s")
# An environment of one task's own inside the image: ours is one already.
_OWN_ENVIRONMENT = (
    ["export", "PIP_DISABLE_PIP_VERSION_CHECK=1"],
    ["tmp=$(mktemp", "-d)"],
    ["python3", "-m", "venv", "$tmp/venv", "--system-site-packages"],
    [".", "$tmp/venv/bin/activate"],
)
_FOLDER = ["program_path=$(mktemp", "-d)"]
_PATH = f"$program_path/{FILE}"
_WRITE = ["printf", "%s", "$0", ">", _PATH]


@dataclass(frozen=True, slots=True)
class Function:
    """The program of a component written as a function: a module of the SDK that is given the function's file."""

    module: str
    variables: Mapping[str, str] = field(default_factory=dict)


@functools.lru_cache(maxsize=1024)
def installs(script: str) -> tuple[Install, ...] | None:
    """What a script installs before it goes on with the words that follow it; None for any other script."""
    commands = _commands(_NEEDS_PIP.sub("\n", script, count=1))
    if not commands or commands[-1] != ["$0", "$@"]:
        return None
    found: list[Install] = []
    for command in commands[:-1]:
        _, words = _variables(command)
        if not words or command in _OWN_ENVIRONMENT:
            continue
        if words[:4] not in (["python3", "-m", "pip", "install"], ["python", "-m", "pip", "install"]):
            return None
        # What the shell would put in their place, and redirections, which look like words here.
        written = not any(set(word) & set("$`") or set(word) == {">"} for word in words)
        install = requirements.parse(words[4:]) if written else None
        if install is None:
            return None
        found.append(install)
    return tuple(found)


@functools.lru_cache(maxsize=1024)
def function(script: str) -> Function | None:
    """The program of a script that writes its first argument to a file and runs it; None for any other script."""
    match _commands(script):
        case [folder, write, run] if folder == _FOLDER and write == _WRITE:
            variables, words = _variables(run)
            match words:
                case ["python3" | "python", "-m", module, "--component_module_path", path, "$@"] if path == _PATH:
                    return Function(module, variables)
    return None


def installs_by_itself(words: tuple[str, ...]) -> bool:
    """Whether a command plainly begins by installing packages where it runs."""
    if len(words) > 2 and words[0].rpartition("/")[2] in ("sh", "bash") and re.fullmatch("-[a-z]*c", words[1]):
        return _PIP.search(words[2]) is not None
    return _PIP.search(" ".join(words[:4]) + " ") is not None


def _commands(script: str) -> list[list[str]]:
    """The commands of a script that are run one after the other; none when it holds anything else."""
    lexer = shlex.shlex(script.replace("\\\n", " "), posix=True, punctuation_chars=";&|<>\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    commands: list[list[str]] = [[]]
    try:
        for word in lexer:
            if word == "&&" or set(word) <= {"\n"} or word == ";":
                commands.append([])
            elif set(word) <= set(";&|<\n"):
                return []
            else:
                commands[-1].append(word)
    except ValueError:  # A quotation without an end.
        return []
    return [each for each in commands if each]


def _variables(command: list[str]) -> tuple[dict[str, str], list[str]]:
    """The variables set for a command, and its words."""
    count = next((at for at, word in enumerate(command) if not _VARIABLE.fullmatch(word)), len(command))
    return dict(each.split("=", 1) for each in command[:count]), command[count:]
