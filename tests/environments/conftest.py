"""An index of packages on this machine: tiny ones, and the KFP SDK as it is installed here. No test needs a network."""

from __future__ import annotations

import base64
import hashlib
import http.server
import importlib.metadata
import os
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class Shelf:
    """A folder of wheels, which pip and uv are told to look in."""

    folder: Path

    def add(self, name: str, version: str, files: Mapping[str, str | bytes], needs: tuple[str, ...] = ()) -> None:
        """A wheel with these files."""
        lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
        metadata = "\n".join([*lines, *(f"Requires-Dist: {each}" for each in needs), ""])
        self._write(name, version, {**files, f"{name}-{version}.dist-info/METADATA": metadata})

    def add_installed(self, name: str) -> list[str]:
        """A wheel of what is installed here; the names of what it needs. What is not installed is not needed here."""
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            return []
        files: dict[str, str | bytes] = {}
        for each in found.files or ():
            ours = not each.parts[0].startswith("..") and "__pycache__" not in each.parts
            if ours and each.name not in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "WHEEL"):
                files[str(each)] = Path(str(each.locate())).read_bytes()
        info = next(path for path in files if path.endswith(".dist-info/METADATA")).partition(".dist-info")[0]
        self._write(*info.rsplit("-", 1), files)
        needs = [each for each in found.requires or () if "extra ==" not in each]
        return [re.split(r"[^\w.-]", each)[0] for each in needs]

    def _write(self, name: str, version: str, files: Mapping[str, str | bytes]) -> None:
        info = f"{name}-{version}.dist-info"
        whole = {**files, f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
        record = []
        with zipfile.ZipFile(self.folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            for path, text in whole.items():
                content = text.encode() if isinstance(text, str) else text
                wheel.writestr(path, content)
                code = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
                record.append(f"{path},sha256={code},{len(content)}")
            wheel.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,", ""]))


@dataclass
class Index:
    """The same wheels behind HTTP, as an index is."""

    url: str
    asked: list[str] = field(default_factory=list)
    """What was asked for, and by whom."""


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """The wheels tests install."""
    made = Shelf(tmp_path_factory.mktemp("wheels"))
    made.add("tiny_thing", "1.0", {"tiny_thing.py": "VALUE = 1\n"})
    made.add("tiny_thing", "2.0", {"tiny_thing.py": "VALUE = 2\n"})
    made.add("tiny_user", "1.0", {"tiny_user.py": "import tiny_thing\n"}, ("tiny_thing<2",))
    made.add("huge_thing", "1.0", {"huge_thing.bin": os.urandom(8 * 2**20)})
    made.add_installed("kfp")
    return made


@pytest.fixture(scope="session")
def uv_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of uv for these tests alone: what the user's holds would hide what is missing."""
    return tmp_path_factory.mktemp("uv")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, shelf: Shelf, uv_cache: Path, tmp_path: Path) -> Path:
    """Nothing but the shelf to install from, and environments in a folder of the test's own."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf.folder))
    monkeypatch.setenv("UV_CACHE_DIR", str(uv_cache))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("ORC_ENVIRONMENTS", str(tmp_path / "environments"))
    return tmp_path / "environments"


@pytest.fixture
def index(shelf: Shelf) -> Iterator[Index]:
    """An index that is asked over HTTP."""
    found = Index("")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(f"{self.path} {self.headers.get('Authorization', '')}")
            if self.path.endswith(".whl"):
                content = (shelf.folder / Path(self.path).name).read_bytes()
            else:
                name = Path(self.path).name.replace("-", "_")
                wheels = sorted(each.name for each in shelf.folder.glob(f"{name}-*.whl"))
                content = "".join(f'<a href="/files/{each}">{each}</a>\n' for each in wheels).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    found.url = f"127.0.0.1:{server.server_address[1]}/simple"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()
