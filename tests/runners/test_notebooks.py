"""A component that is a notebook: its cells run, with the arguments it was given. Needs nbclient, as its users do."""

# No postponed annotations here: the SDK reads them as they are.
import json
import warnings

import pytest

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from kfp import compiler, dsl
    from kfp.dsl import Model, Output

CELLS = {
    "parameters": "text = 'nothing'\ntimes = 1",
    "": "with open(place, 'w') as stream:\n    stream.write(text * times)",
}


def test_a_notebook_is_a_component(project):
    notebook = project.folder / "train.ipynb"
    cell = {"cell_type": "code", "outputs": [], "execution_count": None}
    cells = [
        {**cell, "id": f"cell-{number}", "metadata": {"tags": [tag]} if tag else {}, "source": source}
        for number, (tag, source) in enumerate(CELLS.items())
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook.write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))

    @dsl.notebook_component(
        notebook_path=str(notebook), base_image="python:3.11", packages_to_install=[], install_kfp_package=False
    )
    def train(text: str, model: Output[Model], times: int = 2):
        dsl.run_notebook(text=text, times=times, place=model.path)

    @dsl.pipeline(name="notebook")
    def pipeline(text: str = "ab") -> Model:
        return train(text=text).outputs["model"]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiler.Compiler().compile(pipeline, str(project.folder / "pipeline.yaml"))
    ran = project.run()
    assert ran.status.good, ran.end.reason
    assert ran.file("train", "model") == "abab"
