"""The Open Inference Protocol, version 2, over HTTP: bodies <-> tensors. Pure.

With the extension that Triton and its clients speak: tensors as raw bytes behind the JSON, whose
own length a header then tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec

from serinus.errors import InvalidInput
from serinus.serving.protocols import answers, cells, tensors
from serinus.serving.protocols.answers import Predicted
from serinus.serving.protocols.tensors import Answered, Described, Tensor
from serinus.wire import Field, Manifest

HEADER_LENGTH = b"inference-header-content-length"
BINARY = b"application/octet-stream"
EXTENSIONS = ("binary_tensor_data",)

_Size = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class _TensorParameters(msgspec.Struct, frozen=True):
    binary_data_size: _Size | None = None
    shared_memory_region: Any = None


class _Input(msgspec.Struct, frozen=True):
    name: str
    datatype: str
    shape: Annotated[list[_Size], msgspec.Meta(max_length=16)]
    parameters: _TensorParameters = _TensorParameters()
    data: list[Any] | None = None


class _OutputParameters(msgspec.Struct, frozen=True):
    binary_data: bool | None = None
    classification: Any = None
    shared_memory_region: Any = None


class _Output(msgspec.Struct, frozen=True):
    name: str
    parameters: _OutputParameters = _OutputParameters()


class _RequestParameters(msgspec.Struct, frozen=True):
    binary_data_output: bool = False
    entity: Annotated[str, msgspec.Meta(min_length=1)] | int | None = None


class _Infer(msgspec.Struct, frozen=True):
    inputs: list[_Input]
    id: str | None = None
    outputs: list[_Output] = []
    parameters: _RequestParameters = _RequestParameters()


class Inference(msgspec.Struct, frozen=True):
    """A request that was read: tensors, and how the answer is wanted.

    ``binary`` are the outputs that are wanted as raw bytes, ``entity`` whose all rows are.
    """

    tensors: list[Tensor]
    id: str | None
    outputs: tuple[str, ...]
    binary: frozenset[str]
    entity: str | None


def read(body: bytes, header_length: bytes | None) -> Inference:
    """A request as its body has it; ``header_length`` is the value of that header, if it came.

    Raises:
        InvalidInput: it is none.
    """
    size = _header_size(header_length, len(body))
    document = cells.read_json(body[:size])
    try:
        found = msgspec.convert(document, _Infer)
    except msgspec.ValidationError as error:
        raise InvalidInput(str(error).replace(" - at `$.", " - at `"), where="request") from error
    wanted = tuple(output.name for output in found.outputs)
    if len(set(wanted)) != len(wanted):
        raise InvalidInput("an output is wanted twice", where="outputs")
    entity = found.parameters.entity
    return Inference(
        list(_tensors(found.inputs, memoryview(body)[size:])),
        found.id,
        wanted,
        _binary(found),
        None if entity is None else str(entity),
    )


def _header_size(header_length: bytes | None, length: int) -> int:
    if header_length is None:
        return length
    if not header_length.isdigit() or int(header_length[:20]) > length:
        raise InvalidInput(
            f"it is {header_length[:20].decode('latin-1')!r}, of a body of {length} bytes",
            where=HEADER_LENGTH.decode(),
            remedy="It is the number of bytes of the JSON before the tensors.",
        )
    return int(header_length)


def _tensors(inputs: Sequence[_Input], rest: memoryview) -> Iterator[Tensor]:
    place = 0
    for given in inputs:
        size = given.parameters.binary_data_size
        if given.parameters.shared_memory_region is not None:
            raise InvalidInput("shared memory is not read", where=given.name)
        if size is None:
            yield Tensor(given.name, given.datatype, given.shape, given.data)
            continue
        if given.data is not None or size > len(rest) - place:
            what = (
                "there are both data and bytes" if given.data is not None else "bytes are missing"
            )
            raise InvalidInput(what, where=given.name)
        yield Tensor(given.name, given.datatype, given.shape, raw=rest[place : place + size])
        place += size
    if place != len(rest):
        raise InvalidInput(
            f"{len(rest) - place} bytes behind the JSON belong to no tensor",
            remedy="Give each tensor of bytes its parameter binary_data_size.",
        )


def _binary(found: _Infer) -> frozenset[str]:
    usual = found.parameters.binary_data_output
    if not found.outputs:
        return frozenset(tensors.OUTPUTS if usual else ())
    for output in found.outputs:
        if output.parameters.classification or output.parameters.shared_memory_region is not None:
            raise InvalidInput(
                "classification and shared memory are not given", where=f"outputs, {output.name}"
            )
    return frozenset(
        output.name
        for output in found.outputs
        if (usual if (own := output.parameters.binary_data) is None else own)
    )


# ------------------------------------------------------------------ answers


class _Given(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: dict[str, int] | None = None
    data: Sequence[Any] | None = None


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    model_name: str
    outputs: list[_Given]
    parameters: dict[str, str | int]
    model_version: str = ""
    id: str | None = None


def answer(
    predicted: Sequence[Predicted], manifest: Manifest, asked: Inference
) -> tuple[bytes, int | None]:
    """The body of an answer, and the length of its JSON if bytes follow it.

    Args:
        predicted: one for each row, at least one.
        manifest: of the champion.
        asked: the request.

    Raises:
        InvalidInput: probabilities are wanted and there are none.
    """
    given, tails = [], []
    for output in tensors.answered(predicted, manifest, asked.outputs):
        if output.name in asked.binary:
            tails.append(output.raw())
            size = {"binary_data_size": len(tails[-1])}
            given.append(_Given(output.name, output.datatype, output.shape, size))
        else:
            given.append(_listed(output))
    versions = {row.version for row in predicted}
    body = answers.encode(
        _Answer(
            predicted[0].model,
            given,
            parameters(predicted),
            versions.pop() if len(versions) == 1 else "",
            asked.id,
        )
    )
    return body + b"".join(tails), len(body) if tails else None


def _listed(output: Answered) -> _Given:
    return _Given(output.name, output.datatype, output.shape, data=output.values)


def parameters(predicted: Sequence[Predicted]) -> dict[str, str | int]:
    """What is said of an answer as a whole; of version and arm only if all rows have the same."""
    found: dict[str, str | int] = {"revision": predicted[0].revision}
    versions = {row.version for row in predicted}
    arms = {row.arm for row in predicted}
    if len(versions) == 1:
        found["version"] = versions.pop()
    if len(arms) == 1:
        found["arm"] = arms.pop().value
    if fallbacks := sum(row.fallback for row in predicted):
        found["fallbacks"] = fallbacks
    return found


class Metadata(msgspec.Struct, frozen=True):
    """What a server says of a model."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: list[Described]
    outputs: list[Described]
    parameters: dict[str, str] = {}


def metadata(inputs: Sequence[Field], manifest: Manifest, versions: Sequence[str]) -> Metadata:
    """What a model takes and gives.

    Args:
        inputs: what a request may hold.
        manifest: of the champion.
        versions: those being served, the champion first.
    """
    about = {}
    if tensors.is_numeric(inputs):
        about["matrix"] = (
            f"Instead of one tensor per input, one of shape [-1, {len(inputs)}] is taken, "
            f"as {tensors.MATRIX!r}, with the inputs in this order."
        )
    return Metadata(
        manifest.model,
        tuple(versions),
        "serinus",
        tensors.inputs_of(inputs),
        tensors.outputs_of(manifest),
        about,
    )


def error(text: str) -> bytes:
    """The protocol's own form of a refusal."""
    return answers.encode({"error": text})
