"""The messages of the Open Inference Protocol, described here rather than generated, in a pool of their own."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "bool": _Field.TYPE_BOOL,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
    "float": _Field.TYPE_FLOAT,
    "double": _Field.TYPE_DOUBLE,
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
}
# Per message its fields in the order of their numbers: a name and a type. `*` repeats it, `?` makes it one of a choice,
# `%` is a map from text to parameters.
_MESSAGES: dict[str, tuple[str, ...]] = {
    "ServerLiveRequest": (),
    "ServerLiveResponse": ("live bool",),
    "ServerReadyRequest": (),
    "ServerReadyResponse": ("ready bool",),
    "ModelReadyRequest": ("name string", "version string"),
    "ModelReadyResponse": ("ready bool",),
    "ServerMetadataRequest": (),
    "ServerMetadataResponse": ("name string", "version string", "extensions *string"),
    "ModelMetadataRequest": ("name string", "version string"),
    "TensorMetadata": ("name string", "datatype string", "shape *int64"),
    "ModelMetadataResponse": (
        "name string",
        "versions *string",
        "platform string",
        "inputs *TensorMetadata",
        "outputs *TensorMetadata",
    ),
    "InferParameter": (
        "bool_param ?bool",
        "int64_param ?int64",
        "string_param ?string",
        "double_param ?double",
        "uint64_param ?uint64",
    ),
    "InferTensorContents": (
        "bool_contents *bool",
        "int_contents *int32",
        "int64_contents *int64",
        "uint_contents *uint32",
        "uint64_contents *uint64",
        "fp32_contents *float",
        "fp64_contents *double",
        "bytes_contents *bytes",
    ),
    "InferInputTensor": (
        "name string",
        "datatype string",
        "shape *int64",
        "parameters %",
        "contents InferTensorContents",
    ),
    "InferRequestedOutputTensor": ("name string", "parameters %"),
    "ModelInferRequest": (
        "model_name string",
        "model_version string",
        "id string",
        "parameters %",
        "inputs *InferInputTensor",
        "outputs *InferRequestedOutputTensor",
        "raw_input_contents *bytes",
    ),
    "InferOutputTensor": (
        "name string",
        "datatype string",
        "shape *int64",
        "parameters %",
        "contents InferTensorContents",
    ),
    "ModelInferResponse": (
        "model_name string",
        "model_version string",
        "id string",
        "parameters %",
        "outputs *InferOutputTensor",
        "raw_output_contents *bytes",
    ),
}


def _described() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="open_inference.proto", package=PACKAGE, syntax="proto3")
    for name, said in _MESSAGES.items():
        message = file.message_type.add(name=name)
        if any(" ?" in each for each in said):
            message.oneof_decl.add(name="choice")
        for number, each in enumerate(said, start=1):
            _add(message, number, *each.split(" "))
    return file


def _add(message: descriptor_pb2.DescriptorProto, number: int, name: str, kind: str) -> None:
    field = message.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
    if kind.startswith("?"):
        field.oneof_index = 0
    if kind.startswith("*") or kind == "%":
        field.label = _Field.LABEL_REPEATED
    kind = kind.lstrip("*?")
    if kind in _TYPES:
        field.type = _TYPES[kind]
        return
    field.type = _Field.TYPE_MESSAGE
    field.type_name = f".{PACKAGE}.{kind}"
    if kind == "%":
        # A map is a list of entries, messages inside the one that has it.
        entry = message.nested_type.add(name=f"{name.title()}Entry")
        entry.options.map_entry = True
        _add(entry, 1, "key", "string")
        _add(entry, 2, "value", "InferParameter")
        field.type_name = f".{PACKAGE}.{message.name}.{entry.name}"


_pool = descriptor_pool.DescriptorPool()
_pool.AddSerializedFile(_described().SerializeToString())


def kind(name: str) -> Any:
    """The class of a message."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))


InferRequest = kind("ModelInferRequest")
InferResponse = kind("ModelInferResponse")
