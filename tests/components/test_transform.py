"""The transform component, run as a program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from components.tables import dataset
from components.transform.transform import transform
from orchestrator import program
from orchestrator.errors import PipelineError
from orchestrator.model import transform as transforms

ROOT = Path(__file__).parents[2]
COMPONENT = ROOT / "components" / "transform"
PENGUINS = ROOT / "pipelines" / "penguins" / "data" / "penguins.csv"


@pytest.fixture
def train(tmp_path: Path) -> Path:
    dataset.write(dataset.read(PENGUINS).slice(0, 200), tmp_path / "train")
    return tmp_path / "train"


def test_fits_and_applies(train: Path, tmp_path: Path) -> None:
    steps = [
        {"drop": {"columns": ["id"]}},
        {"impute": {"columns": "numeric", "strategy": "median"}},
        {"encode": {"columns": ["island", "sex"]}},
        {"scale": {"columns": "numeric"}},
    ]
    done = program.invoke(COMPONENT, {"data": train, "steps": steps, "target": "species"}, tmp_path / "out")
    assert (done.code, done.stderr) == (0, "")
    assert "7 columns became" in done.stdout
    assert "not used: id" in done.stdout
    fitted = transforms.read(done.artifacts["transform"])
    assert (fitted.target, fitted.rows) == ("species", 200)
    made = pq.read_table(done.artifacts["data_transformed"]).to_pandas()
    assert list(made.columns) == [*fitted.features, "species"]
    assert made.drop(columns="species").notna().all().all()
    # The judge of "fitted on these rows": what was scaled has mean 0 and deviation 1 on exactly them.
    scaled = made[["bill_length_mm", "body_mass_g"]].to_numpy()
    np.testing.assert_allclose([scaled.mean(axis=0), scaled.std(axis=0)], [[0, 0], [1, 1]], atol=1e-12)
    assert done.metadata["transform"] == {
        "rows": 200,
        "inputs": 7,
        "features": len(fitted.features),
        "target": "species",
    }


def test_every_problem_of_the_steps_is_one_error_line(train: Path, tmp_path: Path) -> None:
    steps = [{"impute": {"columns": ["bil_length_mm"], "strategy": "median"}}, {"scales": {"columns": "numeric"}}]
    done = program.invoke(COMPONENT, {"data": train, "steps": steps, "target": "species"}, tmp_path / "out")
    assert done.code == 2
    assert done.stderr.splitlines() == [
        "error: steps[0].impute.columns: there is no column 'bil_length_mm' here",
        "  hint: did you mean 'bill_length_mm'?",
        "error: steps[1]: there is no step 'scales'",
        "  hint: did you mean 'scale'?",
    ]
    assert done.artifacts == {}


@pytest.mark.parametrize(
    ("table", "target", "message"),
    [
        (pd.DataFrame({"a": [1.0]}), "b", "the data has no column 'b'"),
        (pd.DataFrame({"a": pd.Series([], dtype=float)}), None, "there is no row to fit the transform on"),
        (pd.DataFrame({"a": ["x"]}), "a", "no column is left as a feature"),
    ],
)
def test_data_that_does_not_fit(table: pd.DataFrame, target: str | None, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        transform(table, [], target)
