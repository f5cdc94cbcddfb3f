"""Names of images are taken apart as engines do, and a name without a place is one we build."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import OrchestratorError
from orchestrator.images import reference
from orchestrator.images.reference import Reference

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("clean", ("", "clean", "", "")),
        ("orchestrator/train", ("", "orchestrator/train", "", "")),
        ("busybox:1.36", ("", "busybox", "1.36", "")),
        ("localhost/x/y:1", ("localhost", "x/y", "1", "")),
        (f"localhost:5001/a/b@{DIGEST}", ("localhost:5001", "a/b", "", DIGEST)),
        (f"ghcr.io/acme/mine:2@{DIGEST}", ("ghcr.io", "acme/mine", "2", DIGEST)),
        ("[::1]:5000/x:y", ("[::1]:5000", "x", "y", "")),
    ],
)
def test_a_name_has_parts(text, parts):
    found = reference.parse(text)
    assert found == Reference(*parts)
    assert str(found) == text


@pytest.mark.parametrize("text", ["", "Not An Image", "UPPER", "a//b", "a:b:c", "x@sha256:12", "-x", "a/../b", "x\n"])
def test_what_cannot_be_a_name(text):
    assert reference.parse(text) is None
    assert not reference.is_name(text)


@pytest.mark.parametrize(
    ("text", "ours"),
    [("clean", True), ("own/x", True), ("x:1", False), ("ghcr.io/acme/x", False), (f"x@{DIGEST}", False)],
)
def test_a_name_without_registry_tag_and_digest_is_to_be_built(text, ours):
    assert reference.is_name(text) is ours


@pytest.mark.parametrize(
    ("registry", "placed"),
    [
        ("", "orchestrator/train:k"),
        ("localhost:5001", "localhost:5001/orchestrator/train:k"),
        ("ghcr.io/acme/", "ghcr.io/acme/orchestrator/train:k"),
        ("docker.io/acme", "docker.io/acme/orchestrator-train:k"),
        ("quay.io/acme", "quay.io/acme/orchestrator-train:k"),
    ],
)
def test_an_image_has_a_place_in_a_registry(registry, placed):
    assert reference.placed("orchestrator/train", registry, "k") == placed
    assert reference.parse(placed) is not None


@pytest.mark.parametrize("registry", ["https://ghcr.io", "ghcr.io/acme:1", "a b", "ghcr.io//x", "-x"])
def test_a_registry_is_a_host_and_a_path(registry):
    with pytest.raises(OrchestratorError, match="cannot be a registry"):
        reference.placed("x", registry, "k")


@given(st.text(max_size=40))
def test_any_text_is_taken_apart_or_refused(text):
    found = reference.parse(text)
    assert found is None or str(found) == text
