"""KServe's own package: it wants other versions of much that we use, and lives in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

VERSION = "0.21.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orchestrator-tests"


def kserve() -> Path:
    """The Python that has the package; the test is skipped where it cannot be installed."""
    place = CACHE / f"kserve-{VERSION}-py{sys.version_info.major}.{sys.version_info.minor}"
    python = place / "bin" / "python"
    if not python.exists():
        _install(place)
    return python


def _install(place: Path) -> None:
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    arriving = place.with_name(f".{place.name}.{os.getpid()}")
    arriving.parent.mkdir(parents=True, exist_ok=True)
    try:
        for command in (
            [uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, arriving],
            [uv, "pip", "install", "--quiet", "--python", arriving / "bin" / "python", f"kserve=={VERSION}"],
        ):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=280)
        if not place.exists():  # Another process of the tests may have been quicker.
            arriving.rename(place)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1:]
        pytest.skip(f"needs the kserve package {VERSION}, which cannot be installed here: {''.join(said)}")
    finally:
        shutil.rmtree(arriving, ignore_errors=True)
