"""The folder an image is built in, and the secrets that a build may see and no image keeps."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import BackendError
from orchestrator.images.recipe import Recipe

CA, INDEX = "ca", "index"
_BUNDLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
# What uv reads, and what stands for it where pip was told.
_INDEXES = {
    "UV_DEFAULT_INDEX": ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"),
    "UV_INDEX": ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"),
    "UV_INSECURE_HOST": ("UV_INSECURE_HOST", "PIP_TRUSTED_HOST"),
}
_FOR_PIP = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_TRUSTED_HOST": "UV_INSECURE_HOST"}


def write(recipe: Recipe, folder: Path) -> None:
    """Write the files of a recipe, readable by everybody, whatever the umask of who builds. Raises BackendError."""
    try:
        for path, file in recipe.copies.items():
            shutil.copyfile(file, _place(folder, path))
        for path, text in recipe.texts.items():
            _place(folder, path).write_text(text, encoding="utf-8")
        for each in folder.rglob("*"):
            each.chmod(0o755 if each.is_dir() else 0o644)
    except OSError as error:
        raise BackendError("file", f"{error.filename}: {error.strerror}") from error


def secrets(folder: Path, environment: Mapping[str, str], ca: Path | None) -> dict[str, Path]:
    """The secrets of a build, written where they are not text: certificates, and the package index with its login."""
    bundle = ca or next((Path(environment[name]) for name in _BUNDLES if environment.get(name)), None)
    found = {CA: bundle} if bundle and bundle.is_file() else {}
    text = index(environment)
    if text:
        file = folder / INDEX
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
        found[INDEX] = file
    return found


def index(environment: Mapping[str, str]) -> str:
    """Lines of shell that tell uv and pip which package index to use; "" when nobody was told."""
    told = {
        name: next((environment[each] for each in names if environment.get(each)), "")
        for name, names in _INDEXES.items()
    }
    told |= {ours: told[theirs] for ours, theirs in _FOR_PIP.items()}
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(told.items()) if value)


def _place(folder: Path, path: str) -> Path:
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    return place
