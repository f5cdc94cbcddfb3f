"""Train a model and write its folder."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from importlib import metadata
from typing import Any

from components.tables import dataset
from components.train import algorithm, checkpoint
from components.train.train import Request, train
from orchestrator import digest, program
from orchestrator.model import folder
from orchestrator.model import transform as transforms


def main(task: program.Task) -> None:
    """Read, train, write."""
    data, transform = task.path("data"), task.optional_path("transform")
    request = Request(
        algorithm=task.value("algorithm"),
        target=task.value("target") or None,
        features=task.value("features"),
        transform=transforms.read(transform) if transform else None,
        hyperparameters=algorithm.settled(task.value("hyperparameters")),
        problem=task.value("problem"),
        seed=task.value("seed"),
        digest=digest.of_file(data),
    )
    kept = checkpoint.find(os.environ, _work(request), task.warn)
    trained = train(dataset.read(data).to_pandas(), request, progress=task.progress, kept=kept)
    for warning in trained.warnings:
        task.warn(warning)
    manifest = folder.save(task.output("model"), trained.manifest, trained.transform, trained.estimator)
    kept.clear()
    if told := kept.told():
        task.log(told)
    training = manifest.training
    if training.dropped:
        total = training.rows + training.dropped
        task.log(f"dropped {training.dropped:,} of {total:,} rows: no value in the target {request.target!r}")
    task.metadata(
        "model",
        {
            "algorithm": manifest.algorithm,
            "problem": manifest.problem,
            "flavor": manifest.flavor,
            "target": manifest.target or "",
            "rows": training.rows,
            "features": len(training.features),
            "seed": training.seed,
            "training_data": training.digest,
        },
    )
    classes = f", {len(manifest.classes)} classes" if manifest.classes else ""
    what = f"{manifest.problem} of {manifest.target}{classes}" if manifest.target else manifest.problem
    task.log(f"{manifest.algorithm}: {what}; {training.rows:,} rows, {len(training.features)} features")


def _work(request: Request) -> dict[str, Any]:
    """What a training works on, and with which library."""
    library = "keras" if request.algorithm == "keras" else "scikit-learn"
    try:
        version = metadata.version(library)
    except metadata.PackageNotFoundError:
        version = ""
    transform = transforms.dump(request.transform) if request.transform else ""
    return {**asdict(replace(request, transform=None)), "transform": transform, "version": version}


if __name__ == "__main__":
    program.run(__file__, main)
