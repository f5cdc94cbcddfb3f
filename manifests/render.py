"""Renders the chart into `base/orchestrator.yaml`, for those who use kustomize and not Helm: `make manifests`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
BASE = ROOT / "manifests" / "base"
# What says that Helm made something, or is for its own tests.
_HELMS = ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version")


def rendered(helm: str = "helm") -> str:
    """The chart with `base/values.yaml`, as one YAML text without what only Helm understands."""
    command = [helm, "template", "orchestrator", "helm/orchestrator", "--namespace", "orchestrator", "--no-hooks"]
    command += ["--values", str(BASE / "values.yaml")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    objects = [_plain(each) for each in yaml.safe_load_all(ran.stdout) if each]
    objects.sort(key=lambda each: (each["kind"], each["metadata"]["name"]))
    return (
        "# Rendered from helm/orchestrator by `make manifests`: change the chart, or base/values.yaml.\n"
        + "---\n".join(yaml.safe_dump(each, sort_keys=False, width=120) for each in objects)
    )


def _plain(manifest: dict[str, Any]) -> dict[str, Any]:
    for each in (manifest, manifest.get("spec", {}).get("template", {})):
        metadata = each.get("metadata", {})
        for name in _HELMS:
            metadata.get("labels", {}).pop(name, None)
    annotations = manifest["metadata"].get("annotations", {})
    for name in [name for name in annotations if name.startswith("helm.sh/")]:
        del annotations[name]
    if not annotations:
        manifest["metadata"].pop("annotations", None)
    return manifest


def main() -> int:
    """Write the file; the exit code."""
    try:
        text = rendered()
    except FileNotFoundError:
        print("error: helm is not installed", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(error.stderr, end="", file=sys.stderr)
        return 1
    (BASE / "orchestrator.yaml").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
