"""What a model takes and gives, in the words of the V2 protocol, whoever asks."""

from __future__ import annotations

from typing import Any

from orchestrator.serving import tensors
from orchestrator.serving.hosted import Hosted, Variant

SERVER = "orchestrator"
EXTENSIONS = ("binary_tensor_data", "model_repository")


def model(endpoint: Hosted, variant: Variant) -> dict[str, Any]:
    """The metadata of a model: every version served, and the inputs and outputs of one."""
    signature = variant.model.signature
    outputs = variant.outputs or {}
    return {
        "name": endpoint.declaration.name,
        "versions": list(dict.fromkeys(each.declared.version for each in endpoint.variants)),
        "platform": variant.model.platform,
        "inputs": [
            {"name": column.name, "datatype": tensors.OF_COLUMN[column.type], "shape": [-1]}
            for column in signature.inputs
        ],
        "outputs": [
            {"name": name, "datatype": tensors.datatype(values), "shape": [-1, *values.shape[1:]]}
            for name, values in outputs.items()
        ],
    }
