"""Train a model and write its folder."""

from __future__ import annotations

from components.tables import dataset
from components.train import algorithm
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
    trained = train(dataset.read(data).to_pandas(), request, progress=task.progress)
    for warning in trained.warnings:
        task.warn(warning)
    manifest = folder.save(task.output("model"), trained.manifest, trained.transform, trained.estimator)
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


if __name__ == "__main__":
    program.run(__file__, main)
