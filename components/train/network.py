"""A small dense network on Keras and TensorFlow, for the algorithm `keras`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.train.checkpoint import NONE, Checkpoint
from orchestrator.errors import Location, OrchestratorError, PipelineError, Problem, did_you_mean

Units = Annotated[int, Field(ge=1, le=65536)]
Progress = Callable[[int, int, str], None]


class Hyperparameters(BaseModel):
    """What can be chosen about the network and its training."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    layers: list[Units] = [64, 32]
    epochs: Annotated[int, Field(ge=1)] = 30
    batch_size: Annotated[int, Field(ge=1)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 0.001
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


def hyperparameters(given: Mapping[str, Any]) -> Hyperparameters:
    """The hyperparameters with their defaults; every one that does not fit at once."""
    try:
        return Hyperparameters.model_validate(dict(given))
    except ValidationError as error:
        problems = []
        for detail in error.errors(include_url=False):
            name = str(detail["loc"][0])
            if detail["type"] == "extra_forbidden":
                hint = did_you_mean(name, Hyperparameters.model_fields)
                problems.append(Problem(Location("hyperparameters"), f"keras has no {name!r}", hint))
                continue
            message = f"{detail['input']!r} does not fit: {detail['msg'].lower()}"
            problems.append(Problem(Location(f"hyperparameters.{name}"), message))
        raise PipelineError(problems) from error


def train(
    matrix: NDArray[np.float64],
    target: NDArray[Any],
    *,
    classes: int,
    chosen: Hyperparameters,
    seed: int,
    progress: Progress,
    kept: Checkpoint = NONE,
) -> Any:
    """A trained network: probabilities of `classes` classes, or with 0 classes one quantity."""
    keras = _keras()
    keras.utils.set_random_seed(seed)
    center, scale = (0.0, 1.0) if classes else (float(np.mean(target)), float(np.std(target)) or 1.0)
    rows = matrix.astype(np.float32)
    wanted = target if classes else ((target - center) / scale).astype(np.float32)
    before, done = kept.begin(keras.models.load_model, "epochs")
    network = _network(keras, rows.shape[1], classes, chosen) if before is None else before
    for epoch in range(done, chosen.epochs):
        # Order and chance of an epoch follow from its number: a training that goes on comes to the same network.
        _reseed(network, seed, epoch)
        order = np.random.default_rng([seed, epoch]).permutation(len(rows))
        past = network.fit(
            rows[order], wanted[order], epochs=1, batch_size=chosen.batch_size, shuffle=False, verbose=0
        ).history
        kept.keep(epoch + 1, network.save, ".keras")
        progress(epoch + 1, chosen.epochs, f"epoch, loss {past['loss'][-1]:.4f}")
    # A network learns badly from large numbers: it learned the scaled target, and the last layer scales back.
    return network if classes else keras.Sequential([network, keras.layers.Rescaling(scale, offset=center)])


def _network(keras: Any, width: int, classes: int, chosen: Hyperparameters) -> Any:
    layers = [keras.Input((width,))]
    for units in chosen.layers:
        layers.append(keras.layers.Dense(units, activation="relu"))
        layers += [keras.layers.Dropout(chosen.dropout)] if chosen.dropout else []
    layers.append(keras.layers.Dense(classes, activation="softmax") if classes else keras.layers.Dense(1))
    network = keras.Sequential(layers)
    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate=chosen.learning_rate),
        loss="sparse_categorical_crossentropy" if classes else "mean_squared_error",
    )
    return network


def _reseed(network: Any, seed: int, epoch: int) -> None:
    for number, layer in enumerate(network.layers):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            drawn = np.random.default_rng([seed, epoch, number]).integers(2**31)
            generator.state.assign(np.array([drawn, 0], dtype=generator.state.dtype))


def _keras() -> Any:
    # TensorFlow greets at length on stderr otherwise.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    try:
        import keras
        import tensorflow as tf  # Without it Keras would look for another backend, or fail in its middle.
    except ImportError as error:
        hint = "pip install 'orchestrator[tensorflow]'"
        raise OrchestratorError("the algorithm keras needs TensorFlow, which is not installed", hint=hint) from error
    tf.config.experimental.enable_op_determinism()
    return keras
