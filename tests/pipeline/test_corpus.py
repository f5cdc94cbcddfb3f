"""Every pipeline of the corpus compiles to its golden IR, which KFP's own classes accept."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import ir
from orchestrator.pipeline import load

CORPUS = Path(__file__).parent.parent / "corpus"
COMPONENTS = CORPUS / "components"
CASES = sorted(path.parent for path in CORPUS.glob("*/pipeline.yaml"))

# In a process of its own: importing the SDK warns, and takes a second.
ACCEPT = """
import sys, yaml
from google.protobuf import json_format
from kfp import components
from kfp.pipeline_spec import pipeline_spec_pb2
for path in sys.argv[1:]:
    text = open(path).read()
    documents = list(yaml.safe_load_all(text))
    json_format.ParseDict(documents[0], pipeline_spec_pb2.PipelineSpec())
    platforms = documents[1]["platforms"] if len(documents) > 1 else {}
    for kind in platforms:
        json_format.ParseDict({"platforms": {kind: platforms[kind]}}, pipeline_spec_pb2.PlatformSpec())
    if "kubernetes" in platforms:
        from kfp.kubernetes import kubernetes_executor_config_pb2 as config
        for executor in platforms["kubernetes"]["deploymentSpec"]["executors"].values():
            json_format.ParseDict(executor, config.KubernetesExecutorConfig())
    loaded = components.load_component_from_text(text)
    assert loaded.pipeline_spec.pipeline_info.name == documents[0]["pipelineInfo"]["name"]
    print(path)
"""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_compiles_to_golden(case: Path, golden: Callable[[Path, str], None]) -> None:
    compiled = load.pipeline(case / "pipeline.yaml", [COMPONENTS])
    golden(case / "pipeline.ir.yaml", ir.dump(compiled.spec, compiled.platform))


def test_kfp_accepts_every_golden() -> None:
    goldens = [str(case / "pipeline.ir.yaml") for case in CASES]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ACCEPT, *goldens], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == goldens
