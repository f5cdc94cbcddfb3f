"""Projects with components of their own, small registries that speak HTTP, and a program that stands for an engine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

COMPONENT = """\
apiVersion: orchestrator/v1
kind: Component
metadata: {{name: {name}, description: What {name} is for.}}
outputs: {{said: {{type: string}}}}
container:
  image: {image}
  command: [python, -m, {module}]
"""
PIPELINE = """\
apiVersion: orchestrator/v1
kind: Pipeline
metadata: {{name: demo}}
tasks:
{tasks}
"""


@dataclass(frozen=True)
class Project:
    """A folder with a pipeline and components."""

    folder: Path

    def write(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            place = self.folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")

    def component(self, name: str, *, image: str = "", **files: str) -> None:
        """`components/NAME` with a program; files by their name, dots as `_dot_`."""
        self.write(
            {
                f"components/{name}/component.yaml": COMPONENT.format(
                    name=name, image=image or f"own/{name}", module=f"components.{name}"
                ),
                f"components/{name}/__main__.py": f'"""The program {name}."""\n',
                **{f"components/{name}/{path.replace('_dot_', '.')}": text for path, text in files.items()},
            }
        )

    def pipeline(self, *components: str) -> Path:
        tasks = "\n".join(f"  {name}: {{component: {name}}}" for name in components)
        self.write({"pipeline.yaml": PIPELINE.format(tasks=tasks)})
        return self.folder / "pipeline.yaml"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Project(folder)


@dataclass
class Registry:
    """A registry on this machine: which digest it has by which name, and how it answers."""

    digests: dict[str, str] = field(default_factory=dict)
    user: str = ""
    """`NAME:PASSWORD` of who may ask; anybody may when it is empty."""
    token: str = ""
    """What a place of its own gives to those who may ask, instead of taking the login itself."""
    status: int = 0
    """What it answers whatever it is asked."""
    host: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    made.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def _handler(made: Registry) -> type[BaseHTTPRequestHandler]:
    import base64

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            made.asked.append(self.path)
            basic = f"Basic {base64.b64encode(made.user.encode()).decode()}"
            allowed = f"Bearer {made.token}" if made.token else basic
            if made.status:
                return self.answer(made.status)
            if made.user and self.headers.get("Authorization") != allowed:
                realm = f'Bearer realm="http://{made.host}/token",service="s",scope="pull"' if made.token else "Basic"
                return self.answer(401, {"WWW-Authenticate": realm})
            digest = made.digests.get(self.path.removeprefix("/v2/").replace("/manifests/", ":"))
            return self.answer(200, {"Docker-Content-Digest": digest}) if digest else self.answer(404)

        def do_GET(self) -> None:
            made.asked.append(self.path)
            basic = f"Basic {base64.b64encode(made.user.encode()).decode()}"
            if self.headers.get("Authorization") != basic:
                return self.answer(401)
            body = json.dumps({"token": made.token}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return None

        def answer(self, status: int, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": "0", **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    return Handler


ENGINE = """\
#!/bin/sh
# Stands for Docker: notes what it was told, keeps "images" as files, and fails where a file says so.
here=$(dirname "$0")
printf '%s\\n' "$*" >> "$here/told"
case "$1 $2" in
  "--version "*) echo "Docker version 20.10.24, build 1" ;;
  "version "*) [ ! -e "$here/dead" ] || { echo "Cannot connect to the Docker daemon. Is it running?" >&2; exit 1; } ;;
  "buildx "*) exit 1 ;;
  "build "*)
    [ ! -e "$here/fails" ] || { cat "$here/fails"; exit 1; }
    for word; do case "$word" in --tag=*) touch "$here/$(echo "${word#--tag=}" | tr '/:' '__')" ;; esac; done
    eval "folder=\\${$#}"; rm -rf "$here/context"; cp -r "$folder" "$here/context"
    echo "#5 [builder 2/9] RUN uv pip compile it" ;;
  "image inspect") [ -e "$here/$(echo "$3" | tr '/:' '__')" ] || exit 1; echo '[{"Id": "sha256:1", "Size": 1500000}]' ;;
  "tag "*) cp "$here/$(echo "$2" | tr '/:' '__')" "$here/$(echo "$3" | tr '/:' '__')" ;;
  "push "*)
    [ ! -e "$here/denies" ] || { cat "$here/denies"; exit 1; }
    echo "latest: digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef size: 1" ;;
esac
"""


@dataclass(frozen=True)
class Engine:
    """A program in a folder that answers as Docker does."""

    folder: Path

    @property
    def program(self) -> str:
        return str(self.folder / "docker")

    @property
    def told(self) -> list[str]:
        file = self.folder / "told"
        return file.read_text().splitlines() if file.exists() else []

    def builds(self) -> list[str]:
        return [line for line in self.told if line.startswith("build ")]

    def forget(self) -> None:
        (self.folder / "told").write_text("")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    folder = tmp_path / "engine"
    folder.mkdir()
    program = folder / "docker"
    program.write_text(ENGINE)
    program.chmod(0o755)
    return Engine(folder)


@pytest.fixture
def orc(project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command line in the project."""
    from orchestrator import cli

    monkeypatch.setenv("ORC_STATE", str(project.folder / ".orc"))
    return lambda *arguments: cli.main([str(each) for each in arguments])
