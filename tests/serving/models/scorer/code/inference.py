"""A model as SageMaker takes it: model_fn, input_fn, predict_fn and output_fn, with a module of its own beside it."""

import json
from pathlib import Path

import features


def model_fn(model_dir):
    return json.loads((Path(model_dir) / "weights.json").read_text())


def input_fn(body, content_type):
    if content_type == "text/csv":
        return [[float(value) for value in line.split(",")] for line in body.splitlines()]
    rows = json.loads(body)["instances"]
    return [[row["mass"], row["length"]] for row in rows]


def predict_fn(rows, model):
    # On purpose here: a module of the model's own is found by a function that runs later, too.
    from features import checked

    if rows[0][0] == 13:
        raise RuntimeError("the secret of the model is in its log")
    if rows[0][0] == 14:
        raise SystemExit("enough")
    return [features.score(checked(row), model) for row in rows]


def output_fn(prediction, accept):
    if accept == "text/csv":
        return "".join(f"{value}\n" for value in prediction), accept
    return json.dumps({"predictions": prediction})
