"""The ONNX form of a version: kept with it, named by what it is, and gone when a later comparison fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orchestrator import digest, registry
from orchestrator.registry import ModelVersion, Registry


def test_a_form_is_kept_with_its_version(
    models: Registry, create: Callable[..., ModelVersion], folder: Callable[[str], Path], uri: str
) -> None:
    made = create("a")
    assert made.onnx is None
    form = folder("the form")
    models.add_onnx(made.uri, form, digest.of(form), {"rows": 100, "differing": 0}, by="ana")
    found = registry.open(uri).version("penguins@champion")
    assert found.onnx is not None
    assert found.onnx.passed
    assert found.onnx.gate == {"rows": 100, "differing": 0}
    assert found.onnx.path != form
    assert digest.of(found.onnx.path) == digest.of(form)
    assert (found.digest, digest.of(found.path)) == (made.digest, digest.of(folder("a")))
    last = models.audit("penguins")[-1]
    assert (last.action, last.by, last.reason) == ("export", "ana", "onnx: passed")


def test_a_form_that_did_not_pass_is_said_and_not_kept(
    models: Registry, create: Callable[..., ModelVersion], folder: Callable[[str], Path]
) -> None:
    made = create("a")
    form = folder("the form")
    models.add_onnx(made.uri, form, digest.of(form), {"rows": 100, "differing": 0}, by="ana")
    again = models.add_onnx(made.uri, None, "", {"rows": 100, "differing": 3}, by="ana")
    assert again.onnx is not None
    assert not again.onnx.passed
    assert again.onnx.gate["differing"] == 3
    assert again.approval == made.approval
    assert again.aliases == ("champion",)
