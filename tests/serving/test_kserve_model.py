"""A model written for KServe's own server runs in ours where kserve is installed: here in an environment of its own."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
from pathlib import Path

from tests.manifests.test_judged import judge  # noqa: F401  A fixture.

ROOT = Path(__file__).parent.parent.parent
ASK = """
import json, sys
from pathlib import Path
from orchestrator import digest
from orchestrator.model import package
from orchestrator.model.signature import InputError, columns_from_records
from orchestrator.serving import backends

folder = Path(sys.argv[2])
folder.mkdir()
package.make(package.Wanted(Path(sys.argv[1])), folder)
# kserve parses the command line of whoever imports it, and ends a program that has options of its own.
sys.argv = ["orc", "serve", "--grpc", "x"]
model = backends.load(folder, digest.of(folder))
outputs = model.outputs(columns_from_records(model.signature, [{"a": 1.5}, {"a": 4}]))
answer, kind = model.respond(b'{"instances": [{"a": 2}]}', "application/json", "*/*")
try:
    model.respond(b'{"instances": [{"a": null}]}', "application/json", "*/*")
except InputError as error:
    refused = error.message
told = {"outputs": {name: values.tolist() for name, values in outputs.items()}, "answer": json.loads(answer)}
print(json.dumps({**told, "refused": refused, "argv": sys.argv}))
"""


def test_a_model_of_kserve_answers_both_protocols(judge: Path, tmp_path: Path) -> None:  # noqa: F811
    extra = tmp_path / "extra"
    extra.mkdir()
    for name in ("msgspec", "packaging"):  # What our server needs and kserve does not bring; the Python is the same.
        (extra / name).symlink_to(Path(importlib.import_module(name).__file__ or "").parent)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{extra}"}
    model = ROOT / "tests" / "serving" / "models" / "doubler"
    done = subprocess.run(
        [judge, "-c", ASK, model, tmp_path / "model"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    # V2 comes as kserve's InferRequest, V1 as the JSON it is.
    assert told["outputs"] == {"twice": [3.0, 8.0]}
    assert told["answer"] == {"predictions": [4], "last": "dict"}
    assert told["refused"] == "a is missing"
    assert told["argv"] == ["orc", "serve", "--grpc", "x"]
