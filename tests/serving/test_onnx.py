"""The ONNX form behind an endpoint: the answers of the model, from a process that never loads scikit-learn."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import OrchestratorError
from orchestrator.model import folder
from orchestrator.model.onnx import export
from orchestrator.serving import declarations, local
from orchestrator.serving.backends import load

PENGUINS = Path(__file__).parent.parent.parent / "pipelines" / "penguins" / "data" / "penguins.csv"


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory, penguins: Any, mass: Any) -> dict[str, Path]:
    """The ONNX forms of two models, each compared with its model on the penguins."""
    place = tmp_path_factory.mktemp("forms")
    for name, model in (("penguins", penguins), ("mass", mass)):
        made = export.export(model.path, PENGUINS, place / name)
        assert made.gate.passed
        assert made.gate.rows > 300
        assert made.gate.differing == 0
    return {name: place / name for name in ("penguins", "mass")}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, forms: dict[str, Path], declaration: Any) -> Iterator[Path]:
    """The state folder of a server that has nothing but ONNX forms."""
    state = tmp_path_factory.mktemp("served")
    declared = []
    for name, path in forms.items():
        example = [dict(each) for each in load(path, folder.digest(path)).example]
        model = _Folder(path, folder.digest(path), example)
        declared.append(declaration(name, model))
        local.declare(state, declared[-1])
    server = local.ensure(state)
    for each in declared:
        local.wait_ready(server.url, each)
    yield state
    local.stop(state)


class _Folder:
    def __init__(self, path: Path, digest: str, examples: list[dict[str, Any]]) -> None:
        self.path, self.digest, self.examples = path, digest, examples


def test_the_answers_are_those_of_the_model(served: Path, penguins: Any, mass: Any, ask: Callable[..., Any]) -> None:
    url = local.find(served).url  # type: ignore[union-attr]
    for name, model in (("penguins", penguins), ("mass", mass)):
        reply = ask(url, f"/v1/models/{name}:predict", {"instances": model.examples})
        assert reply.status == 200, reply.text
        wanted = model.predictions if name == "penguins" else pytest.approx(model.predictions)
        assert reply.json["predictions"] == wanted
    inputs = [{"name": "bill_lenght_mm", "datatype": "FP64", "shape": [1], "data": [46.5]}]
    about = ask(url, "/v2/models/penguins").json
    assert about["platform"] == "onnxruntime"
    assert [each["name"] for each in about["outputs"]] == ["species", "probabilities"]
    refused = ask(url, "/v2/models/mass/infer", {"inputs": inputs})
    assert refused.status == 400
    assert "'bill_lenght_mm' is not a column" in refused.json["error"]


def test_nothing_of_scikit_learn_or_pandas_is_loaded(served: Path) -> None:
    pid = local.find(served).pid  # type: ignore[union-attr]
    libraries = Path(f"/proc/{pid}/maps").read_text()
    assert "onnxruntime" in libraries
    for heavy in ("sklearn", "scipy", "pandas", "pyarrow", "mlflow", "tensorflow"):
        assert f"/{heavy}/" not in libraries
    (peak,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    assert int(peak.split()[1]) < 130 * 1024  # 85 MB was seen; scikit-learn alone would add 60.


def test_what_was_changed_is_not_served(forms: dict[str, Path], tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    changed.mkdir()
    for file in forms["mass"].iterdir():
        (changed / file.name).write_bytes(file.read_bytes())
    digest = folder.digest(changed)
    assert load(changed, digest).platform == "onnxruntime"
    about = json.loads((changed / "form.json").read_text())
    about["outputs"]["refused"] = ""
    (changed / "form.json").write_text(json.dumps(about))
    with pytest.raises(OrchestratorError, match="has digest"):
        load(changed, digest)
    with pytest.raises(OrchestratorError, match=r"not intact: form\.json"):
        load(changed, folder.digest(changed))


def test_a_declaration_says_its_format(forms: dict[str, Path], declaration: Any) -> None:
    made = declaration("mass", _Folder(forms["mass"], folder.digest(forms["mass"]), []))
    variant = made.variants[0].model_copy(update={"format": "onnx"})
    again = declarations.load(declarations.dump(made.model_copy(update={"variants": (variant,)})))
    assert again.variants[0].format == "onnx"
