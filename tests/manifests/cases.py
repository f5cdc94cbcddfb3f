"""Cases of endpoints on a cluster: an endpoint file, and what is known of its versions and of the place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orchestrator import source
from orchestrator.serving import declarations, endpoint
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.kserve import check, manifests, objects, servers
from orchestrator.serving.kserve.manifests import Monitor, Split

HERE = Path(__file__).parent
ALL = sorted(path.parent for path in HERE.glob("*/case.yaml"))
IMAGE = "registry.example.com/orchestrator/server@sha256:" + 64 * "0"


@dataclass(frozen=True)
class Case:
    declaration: Declaration
    place: objects.Place
    by: Split = "server"
    monitor: Monitor | None = None

    def render(self) -> list[Any]:
        return list(manifests.render(self.declaration, self.place, by=self.by, monitor=self.monitor))


def read(folder: Path) -> Case:
    document = source.read(folder / "endpoint.yaml", name="endpoint.yaml")
    spec = endpoint.parse(document)
    case: Mapping[str, Any] = yaml.safe_load((folder / "case.yaml").read_text())
    place = objects.Place(
        case["namespace"],
        callers=tuple(case.get("callers", ())),
        reached=tuple(case.get("reached", ())),
        server=servers.ALL[case.get("server", "orchestrator")],
        storage=case.get("storage", ""),
    )
    by = case.get("split", "server")
    check.check(document, spec, place, by=by)
    asked = {each.name: each.model_dump(include={"name", "weight", "format", "shadow"}) for each in spec.variants}
    variants = [{**asked[name], "path": f"/tmp/{name}", **case["versions"][name]} for name in asked]
    plain = {"name": spec.metadata.name, "variants": variants, "spec": endpoint.dump(spec)}
    plain |= {"example": {"inputs": case["example"]}, "run": "run-1", "declared_at": "2026-11-21T19:00:00+00:00"}
    monitor = Monitor(**case["monitor"]) if "monitor" in case else None
    return Case(declarations.load(json.dumps(plain)), place, by, monitor)


def text(manifests: list[Any]) -> str:
    return yaml.safe_dump_all(manifests, sort_keys=False, allow_unicode=True, width=120)
