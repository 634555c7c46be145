"""The Open Inference Protocol, version 2, over gRPC: messages <-> tensors. Pure.

The messages come with ``tritonclient``, so this module can only be imported where the extra
``grpc`` is installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tritonclient.grpc import service_pb2 as messages

from serinus.errors import InvalidInput
from serinus.serving.protocols import cells, tensors
from serinus.serving.protocols.answers import Predicted
from serinus.serving.protocols.open_inference import Inference, Metadata, parameters
from serinus.serving.protocols.tensors import Answered, Described, Tensor
from serinus.wire import Manifest

Message: TypeAlias = Any
"""A protobuf message; these classes are made at import and have no types."""

_LISTS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    "BYTES": "bytes_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
}


def read(request: Message) -> Inference:
    """A ``ModelInferRequest``; its answer is wanted as the request came, as bytes or as lists.

    Raises:
        InvalidInput: it cannot be read.
    """
    raws: Sequence[bytes] = request.raw_input_contents
    if raws and len(raws) != len(request.inputs):
        raise InvalidInput(
            f"there are {len(request.inputs)} tensors and the bytes of {len(raws)}",
            where="raw_input_contents",
        )
    found = [
        _tensor(given, memoryview(raws[index]) if raws else None)
        for index, given in enumerate(request.inputs)
    ]
    for output in request.outputs:
        if output.parameters:
            raise InvalidInput(
                f"the parameter {min(output.parameters)[:50]!r} is unknown",
                where=f"outputs, {output.name[:50]}",
            )
    wanted = tuple(output.name for output in request.outputs)
    if len(set(wanted)) != len(wanted):
        raise InvalidInput("an output is wanted twice", where="outputs")
    binary = frozenset(tensors.OUTPUTS if raws else ())
    return Inference(found, request.id, wanted, binary, _entity(request.parameters))


def _tensor(given: Message, raw: memoryview | None) -> Tensor:
    if given.parameters:
        raise InvalidInput(
            f"the parameter {min(given.parameters)[:50]!r} is unknown", where=given.name[:50]
        )
    if raw is not None:
        return Tensor(given.name, given.datatype, list(given.shape), raw=raw)
    field = _LISTS.get(given.datatype)
    if field is None:
        raise InvalidInput(
            f"the datatype {given.datatype[:20]!r} has no list of values",
            where=given.name[:50],
            remedy="Send raw_input_contents.",
        )
    values = list(getattr(given.contents, field))
    if given.datatype == "BYTES":
        values = [_text(value, row, given.name) for row, value in enumerate(values)]
    return Tensor(given.name, given.datatype, list(given.shape), values)


def _text(value: bytes, row: int, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise cells.fault("the text is not UTF-8", row, name) from error


def _entity(given: Mapping[str, Message]) -> str | None:
    if "entity" not in given:
        return None
    found = given["entity"]
    value = getattr(found, found.WhichOneof("parameter_choice") or "string_param")
    if isinstance(value, bool | float) or value == "":
        raise InvalidInput("it is neither text nor a whole number", where="parameters, entity")
    return str(value)


def answer(predicted: Sequence[Predicted], manifest: Manifest, asked: Inference) -> Message:
    """A ``ModelInferResponse``.

    Raises:
        InvalidInput: probabilities are wanted and there are none.
    """
    versions = {row.version for row in predicted}
    response = messages.ModelInferResponse(
        model_name=predicted[0].model,
        model_version=versions.pop() if len(versions) == 1 else "",
        id=asked.id,
    )
    for name, value in parameters(predicted).items():
        kind = "int64_param" if isinstance(value, int) else "string_param"
        setattr(response.parameters[name], kind, value)
    for output in tensors.answered(predicted, manifest, asked.outputs):
        _put(response, output, raw=bool(asked.binary))
    return response


def _put(response: Message, output: Answered, *, raw: bool) -> None:
    made = response.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
    if raw:
        response.raw_output_contents.append(output.raw())
    elif output.datatype == "BYTES":
        made.contents.bytes_contents.extend(str(value).encode() for value in output.values)
    else:
        getattr(made.contents, _LISTS[output.datatype]).extend(output.values)


def metadata(told: Metadata) -> Message:
    """A ``ModelMetadataResponse``, which has no place for parameters."""
    return messages.ModelMetadataResponse(
        name=told.name,
        versions=told.versions,
        platform=told.platform,
        inputs=list(map(_described, told.inputs)),
        outputs=list(map(_described, told.outputs)),
    )


def _described(told: Described) -> Message:
    return messages.ModelMetadataResponse.TensorMetadata(
        name=told.name, datatype=told.datatype, shape=told.shape
    )
