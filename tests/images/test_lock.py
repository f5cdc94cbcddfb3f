"""The lock: written alike every time, read with the places of its mistakes, and laid over a pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from orchestrator import ir
from orchestrator.errors import PipelineError
from orchestrator.images import lock as locks
from orchestrator.images.lock import Lock, Locked

HERE = Path(__file__).parent / "locks"
DIGEST = "sha256:" + "0123456789abcdef" * 4
V1 = "orchestrator/v1"
LOCK = Lock(
    api_version=V1,
    platform="linux/amd64",
    images={
        "orchestrator/train": Locked(
            reference=f"localhost:5001/orchestrator/train@{DIGEST}", key="1" * 16, packages=["tensorflow-cpu"]
        ),
        "busybox:1.36": Locked(reference=f"busybox@{DIGEST}"),
        "clean": Locked(reference="clean:2222222222222222", key="2" * 16),
    },
)


def test_a_lock_is_text_that_is_read_back(golden, tmp_path):
    text = locks.dump(LOCK)
    golden(HERE / "pipeline.lock.yaml", text)
    (tmp_path / "x.lock.yaml").write_text(text)
    assert locks.read(tmp_path / "x.lock.yaml") == LOCK


def test_the_order_in_which_images_were_built_does_not_show():
    turned = LOCK.model_copy(update={"images": dict(reversed(LOCK.images.items()))})
    assert locks.dump(turned) == locks.dump(LOCK)


@pytest.mark.parametrize(
    ("file", "beside"),
    [
        ("a/penguins.yaml", "a/penguins.lock.yaml"),
        ("pipeline.py", "pipeline.lock.yaml"),
        ("a/pipeline.py:train", "a/pipeline.lock.yaml"),
        ("pipeline.ir.yaml", "pipeline.ir.lock.yaml"),
    ],
)
def test_a_lock_lies_beside_its_pipeline(file, beside):
    assert locks.beside(Path(file)) == Path(beside)


def test_no_lock_is_no_mistake(tmp_path):
    assert locks.read(tmp_path / "x.lock.yaml") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("images: [", r"x.lock.yaml:"),
        ("apiVersion: orchestrator/v1\nkind: Pipeline\n", r"x.lock.yaml:2:7: "),
        (f"apiVersion: {V1}\nkind: Lock\nimages:\n  a: {{reference: Not One}}\n", r":4:\d+: .*cannot be an image"),
        (f"apiVersion: {V1}\nkind: Lock\nimages:\n  a: {{referense: a:1}}\n", r"did you mean 'reference'"),
    ],
)
def test_a_broken_lock_is_told_with_its_place(tmp_path, text, said):
    (tmp_path / "x.lock.yaml").write_text(text)
    with pytest.raises(PipelineError, match=said):
        locks.read(tmp_path / "x.lock.yaml")


def pipeline(*images: str) -> ir.spec.PipelineSpec:
    executors = {f"exec-{number}": {"container": {"image": image}} for number, image in enumerate(images)}
    executors["exec-import"] = {
        "importer": {"artifactUri": {"constant": "x"}, "typeSchema": {"schemaTitle": "system.Dataset"}}
    }
    document = {
        "pipelineInfo": {"name": "demo"},
        "schemaVersion": "2.1.0",
        "root": {"dag": {"tasks": {}}},
        "components": {},
        "deploymentSpec": {"executors": executors},
    }
    return ir.load(yaml.safe_dump(document), "x.yaml")[0]


def images(spec) -> list[str]:
    return [each.container.image for each in spec.deployment_spec.executors.values() if each.container]


def test_a_pinned_pipeline_differs_in_its_images_alone():
    before = pipeline("orchestrator/train", "busybox:1.36", "ghcr.io/acme/x:1", "orchestrator/train")
    after = locks.pinned(before, LOCK)
    assert images(after) == [
        f"localhost:5001/orchestrator/train@{DIGEST}",
        f"busybox@{DIGEST}",
        "ghcr.io/acme/x:1",
        f"localhost:5001/orchestrator/train@{DIGEST}",
    ]
    assert locks.pinned(after, LOCK) == after
    back = {locked.reference: Locked(reference=name) for name, locked in LOCK.images.items()}
    assert locks.pinned(after, LOCK.model_copy(update={"images": back})) == before


def test_what_no_registry_has_is_lacking_for_a_cluster():
    assert locks.lacking(["orchestrator/train", "clean", "other"], LOCK) == ("clean", "other")
    assert locks.lacking(["clean"], None) == ("clean",)


def test_an_image_of_other_code_is_told():
    assert locks.changed(LOCK, {"orchestrator/train": "3" * 16, "clean": "2" * 16}) == ("orchestrator/train",)


def test_a_lock_is_validated_like_every_file(orc, capsys):
    assert orc("validate", HERE / "pipeline.lock.yaml") == 0
    assert "lock of 3 images, 2 of them in a registry" in capsys.readouterr().out
