"""A new project: the files of `orchestrator/templates/project`, written where nothing is overwritten."""

from __future__ import annotations

from pathlib import Path

import orchestrator
from orchestrator.errors import BackendError, OrchestratorError

TEMPLATE = Path(orchestrator.__file__).parent / "templates" / "project"
# Named so that it does not decide what git and the package take of the template itself.
_NAMES = {"gitignore": ".gitignore"}


def write(folder: Path) -> list[Path]:
    """Write the files of a new project into `folder`; those written. Raises when one of them is there already."""
    wanted = {target(file, folder): file for file in sorted(TEMPLATE.rglob("*")) if _belongs(file)}
    there = [str(path) for path in wanted if path.exists() or path.is_symlink()]
    if there:
        message = "these files are there already, so nothing was written:\n" + "\n".join(there)
        raise OrchestratorError(message, hint="choose another folder: orc init FOLDER")
    try:
        for path, file in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as new:
                new.write(file.read_bytes())
    except OSError as error:
        raise BackendError("file", f"{error.filename}: {error.strerror}") from error
    return list(wanted)


def target(file: Path, folder: Path) -> Path:
    """Where a file of the template goes."""
    relative = file.relative_to(TEMPLATE)
    return folder / relative.with_name(_NAMES.get(relative.name, relative.name))


def _belongs(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts
