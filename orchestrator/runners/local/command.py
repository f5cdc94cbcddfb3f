"""The command line of a container as a process of this machine has it: which Python runs it, and what that needs.

What the KFP SDK writes to install packages is read, never run: the program gets an environment that holds them.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from orchestrator.environments import place, requirements
from orchestrator.environments.place import Environment
from orchestrator.environments.requirements import Install
from orchestrator.errors import RunError
from orchestrator.runners.local import bootstrap, traces
from orchestrator.runners.local.bootstrap import Function
from orchestrator.runners.local.launch import Launch

BUILTIN = Path(place.__file__).resolve().parent.parent.parent
"""The folder of `orchestrator` and of the components that come with it."""

_PYTHONS = ("python", "python3")
_KFP = re.compile(r"kfp\b(?!-)|.*://|\.{0,2}/|.*@")


@dataclass(frozen=True, slots=True)
class Program:
    """What a command asks for: packages, and the words that are run when they are there."""

    words: tuple[str, ...]
    installs: tuple[Install, ...] = ()
    function: Function | None = None
    """The program of a component written as a function."""
    source: str = ""
    """The file of that function."""


@dataclass(frozen=True, slots=True)
class Command:
    """What is started."""

    argv: tuple[str, ...]
    """The program. While its environment is not ready: what makes the environment, and then becomes the program."""
    environment: Mapping[str, str]
    """All variables of the process."""
    ready: bool = True
    """Whether the environment of the program is there, so that `argv` is the program itself."""
    source: str = ""
    """The Python of a component written as a function."""
    files: Mapping[Path, str] = field(default_factory=dict)
    """What is written before the start."""
    links: Path | None = None
    """The folder of environments, if the program imports `orchestrator` from there."""

    @property
    def python(self) -> str:
        """The Python a fork server for it must have; "" when it is no module of Python, or cannot start yet."""
        is_module = self.ready and self.argv[1:2] == ("-m",) and len(self.argv) > 2
        return self.argv[0] if is_module and Path(self.argv[0]).name.startswith("python") else ""

    @property
    def module(self) -> str:
        """The module of `python -m MODULE`, which a fork server can run; "" for everything else."""
        return self.argv[2] if self.python else ""

    def write(self) -> None:
        """Write what must be there before the start. Raises OSError."""
        for file, text in self.files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
                out.write(text)
        if self.links:
            place.make_link(self.links)


def program(words: tuple[str, ...]) -> Program:
    """What a command line asks for, as far as it is of the KFP SDK's making."""
    installs: tuple[Install, ...] = ()
    if len(words) > 3 and words[:2] == ("sh", "-c") and (found := bootstrap.installs(words[2])) is not None:
        installs, words = found, words[3:]
    if len(words) > 3 and words[:2] == ("sh", "-ec") and (function := bootstrap.function(words[2])):
        return Program(words[4:], _with_kfp(installs), function, words[3])
    return Program(words, installs)


def environment(asked: Program, code_paths: tuple[Path, ...], environments: Path) -> Environment | None:
    """The environment a program runs in; None when it is that of the caller."""
    installs = asked.installs or (() if asked.function else _of_module(asked.words, code_paths))
    return place.find(environments, installs) if installs else None


def read(launch: Launch, environments: Path) -> Command:
    """The command of a launch. Raises RunError when this machine cannot run it."""
    asked = program(launch.words)
    files: dict[Path, str] = {}
    if asked.function:
        file = launch.folder / "tmp" / "component" / bootstrap.FILE
        files[file] = asked.source
        start = ("python", "-m", asked.function.module, "--component_module_path", str(file))
        asked = replace(asked, words=(*start, *asked.words))
    if not asked.words:
        raise RunError(f"the image {launch.image!r} gives no command, and a process needs one")
    code = tuple(Path(each) for each in launch.environment.get("PYTHONPATH", "").split(os.pathsep) if each)
    chosen = environment(asked, code, environments)
    if chosen is None and bootstrap.installs_by_itself(asked.words):
        chosen = Environment(launch.folder / "tmp" / "environment", ())
        return _unmade(_inside(launch, asked, chosen, None, files), chosen, launch, own=True)
    if chosen is None:
        return _of_caller(launch, asked, files)
    links = None if asked.installs else environments
    command = _inside(launch, asked, chosen, links, files)
    return command if chosen.is_ready else _unmade(command, chosen, launch, own=False)


def _of_caller(launch: Launch, asked: Program, files: Mapping[Path, str]) -> Command:
    variables = dict(launch.environment)
    if asked.function:
        variables |= {"PYTHONPATH": launch.declared.get("PYTHONPATH", ""), **asked.function.variables}
    if asked.words[0] in _PYTHONS:
        return Command((sys.executable, *asked.words[1:]), variables, source=asked.source, files=files)
    _require(asked.words[0], variables.get("PATH"), launch)
    return Command(asked.words, variables)


def _inside(
    launch: Launch, asked: Program, chosen: Environment, links: Path | None, files: Mapping[Path, str]
) -> Command:
    """The command in an environment, as if that were ready."""
    own = str(Path(sys.executable).parent)
    paths = [each for each in launch.environment.get("PATH", os.defpath).split(os.pathsep) if each]
    if sys.prefix != sys.base_prefix:
        # A `pip` that is called by its name must not be the caller's.
        paths = [each for each in paths if each != own]
    variables = {
        **launch.environment,
        "PATH": os.pathsep.join([str(chosen.bin), *paths]),
        "VIRTUAL_ENV": str(chosen.folder),
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PYTHONPATH": launch.declared.get("PYTHONPATH", ""),
        **(asked.function.variables if asked.function else {}),
    }
    if links:
        code = launch.environment.get("PYTHONPATH", "").split(os.pathsep)
        kept = [str(place.link(links)) if Path(each) == BUILTIN else each for each in code]
        variables["PYTHONPATH"] = os.pathsep.join(kept)
    first = chosen.python if asked.words[0] in _PYTHONS else asked.words[0]
    if chosen.is_ready:
        _require(first, variables["PATH"], launch)
    return Command((first, *asked.words[1:]), variables, source=asked.source, files=files, links=links)


def _unmade(command: Command, chosen: Environment, launch: Launch, *, own: bool) -> Command:
    """The command whose process first makes the environment."""
    spec = asdict(chosen.spec(by=f"{launch.environment.get(traces.RUN, '')}:{os.getpid()}"))
    told = {"spec": {**spec, "own": own}, "words": command.argv, "python": chosen.python}
    file = launch.folder / "tmp" / "environment.json"
    return Command(
        (sys.executable, "-I", str(place.PROGRAM), str(file)),
        command.environment,
        ready=False,
        source=command.source,
        files={**command.files, file: json.dumps(told)},
        links=command.links,
    )


def _require(name: str, path: str | None, launch: Launch) -> None:
    if shutil.which(name, path=path) is None:
        raise RunError(f"the program {name!r} of the image {launch.image!r} is not on this machine")


def _with_kfp(installs: tuple[Install, ...]) -> tuple[Install, ...]:
    """With the SDK, which a component may expect in its image: as the caller has it, where the caller has it."""

    if any(_KFP.match(package) for each in installs for package in each.packages):
        return installs
    version = _version_of_kfp()
    if not version:
        return (*installs, Install(("kfp",)))
    return (*installs, Install((f"kfp=={version}",), bare=True)) if installs else ()


def _of_module(words: tuple[str, ...], code_paths: tuple[Path, ...]) -> tuple[Install, ...]:
    """What the folder of `python -m MODULE` asks for in its requirements.txt; nothing for what comes with us."""
    if words[:1] not in (("python",), ("python3",)) or words[1:2] != ("-m",) or len(words) < 3:
        return ()
    for root in code_paths:
        folder = root.joinpath(*words[2].split("."))
        if folder.is_dir() or folder.with_suffix(".py").is_file():
            file = folder / "requirements.txt"
            if root == BUILTIN or not file.is_file():
                return ()
            return (requirements.read(file), Install(requirements.normalised(_ours())))
    return ()


@functools.cache
def _version_of_kfp() -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version("kfp")
    except importlib.metadata.PackageNotFoundError:
        return ""


@functools.cache
def _ours() -> tuple[str, ...]:
    """What `orchestrator` itself needs, without its extras."""
    import importlib.metadata

    try:
        listed = importlib.metadata.requires("orchestrator") or []
    except importlib.metadata.PackageNotFoundError:
        return ()
    return tuple(each for each in listed if not re.search(r"\bextra\s*==", each))
