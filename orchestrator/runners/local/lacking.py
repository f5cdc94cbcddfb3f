"""A program that ended because a package is not there: where to ask for it. Pure but for looking at folders."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from orchestrator.runners.local import command

_MISSING = re.compile(r"ModuleNotFoundError: No module named '(\w+)'$")
_PACKAGES = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Packages that are not called as what is imported from them."""


def advice(reason: str, words: tuple[str, ...], code_paths: tuple[Path, ...], builtin: Path = command.BUILTIN) -> str:
    """What to do about a module that was not found, as the end of a sentence; "" where a package would not help."""
    found = _MISSING.search(reason)
    if found is None or found[1] in sys.stdlib_module_names or _is_own(found[1], code_paths):
        return ""
    package = _PACKAGES.get(found[1])
    what = f"add the package {package}" if package else "add it"
    asked = command.program(words)
    if asked.function:
        return f"{what} to packages_to_install"
    if asked.words[1:2] != ("-m",) or len(asked.words) < 3:
        return ""
    folder = Path(*asked.words[2].split("."))
    root = next((each for each in code_paths if (each / folder).is_dir()), builtin)
    # What comes with us has its packages from the extras it is installed with.
    return f"{what} to {folder.as_posix()}/requirements.txt" if root != builtin else ""


def _is_own(name: str, code_paths: tuple[Path, ...]) -> bool:
    """Whether the module is part of the user's code, which is only not to be seen from where the program runs."""
    return any((root / name).is_dir() or (root / f"{name}.py").is_file() for root in code_paths)
