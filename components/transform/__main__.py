"""Fit the steps on the training split; write the fitted transform and the transformed data."""

from __future__ import annotations

import pyarrow as pa

from components.tables import dataset
from components.transform.transform import transform
from orchestrator import program
from orchestrator.model import transform as transforms


def main(task: program.Task) -> None:
    """Read, fit, write."""
    table = dataset.read(task.path("data")).to_pandas()
    fitted, made = transform(table, task.value("steps"), task.value("target"))
    task.output("transform").write_text(transforms.dump(fitted), encoding="utf-8")
    dataset.write(pa.Table.from_pandas(made, preserve_index=False), task.output("data_transformed"))
    task.metadata(
        "transform",
        {"rows": fitted.rows, "inputs": len(fitted.inputs), "features": len(fitted.features), "target": fitted.target},
    )
    task.metadata("data_transformed", {"rows": len(made), "columns": made.shape[1]})
    task.log(f"{len(fitted.inputs)} columns became {len(fitted.features)} features, fitted on {fitted.rows:,} rows")
    if fitted.ignored:
        task.log(f"not used: {', '.join(name for name in fitted.ignored if name != fitted.target) or 'nothing'}")


if __name__ == "__main__":
    program.run(__file__, main)
