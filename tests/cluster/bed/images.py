"""Images for a node that no registry serves: archives made here, and imported."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

PAUSE = "localhost/orchestrator-test/pause:1"


def pause(program: Path, file: Path) -> Path:
    """The image that holds a pod's namespaces."""
    with tarfile.open(file.with_suffix(".layer"), "w") as layer:
        layer.add(program, "pause", filter=_of_root)
    return archive(PAUSE, file.with_suffix(".layer"), file, entrypoint=["/pause"])


def archive(
    name: str,
    layer: Path,
    file: Path,
    *,
    entrypoint: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    user: str = "65532:65532",
) -> Path:
    """An image of one layer, as `docker save` writes it."""
    with layer.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    settings = {
        "Entrypoint": list(entrypoint),
        "Env": [f"{key}={value}" for key, value in (environment or {}).items()],
        "User": user,
    }
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    content = json.dumps(config).encode()
    place = f"{hashlib.sha256(content).hexdigest()}.json"
    manifest = [{"Config": place, "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(file, "w") as made:
        _add(made, place, content)
        made.add(layer, "layer.tar")
        _add(made, "manifest.json", json.dumps(manifest).encode())
    return file


def _add(made: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    made.addfile(entry, io.BytesIO(content))


def _of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755
    return entry
