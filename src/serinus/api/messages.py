"""Bodies in, answers out: JSON by msgspec, and the same types as OpenAPI schemas.

Plans are taken as YAML as well, as people keep them in files.
"""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Query, Request, Response
from msgspec import inspect

from serinus.api import admission
from serinus.api.admission import Form
from serinus.delivery.planning import written
from serinus.errors import InvalidInput

T = TypeVar("T")

LARGEST_BODY = 1_000_000
# Of YAML, which is read a thousand times slower than JSON, while all other calls wait: a rollback
# must not wait for a tenth of a second.
LARGEST_YAML = 16_384

Limit = Annotated[int, Query(ge=1, le=1000, description="most items to answer with")]
After = Annotated[str | None, Query(description="the `next` of the page before")]

_described: dict[str, type[Any]] = {}


class Json(Response):
    """Any value of ours as JSON; not-a-number becomes null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode ``content``; paths and other plain values by their text."""
        return msgspec.json.encode(content, enc_hook=str)


def page(items: Sequence[Any], limit: int, key: Callable[[Any], str]) -> Json:
    """One page of a list: ``{"items": [...], "next": the cursor of the page after or null}``."""
    return Json({"items": items, "next": key(items[-1]) if len(items) == limit else None})


def body(kind: type[T], forms: Sequence[Form] = ("json",)) -> Callable[[Request], Awaitable[T]]:
    """A dependency that reads the request's body as ``kind``.

    Args:
        kind: what the body is.
        forms: in which it may be written.

    Raises:
        UnsupportedForm: the body is in another form, or does not say in which.
        InvalidInput: the body is too large, or not of this kind; names the field.
    """

    async def read(request: Request) -> T:
        form = admission.form_of(request, forms)
        largest = LARGEST_YAML if form == "yaml" else LARGEST_BODY
        data = bytearray()
        async for chunk in request.stream():
            data += chunk
            if len(data) > largest:
                raise InvalidInput(
                    f"the body is larger than {largest:,} bytes",
                    where="body",
                    remedy=f"Send it as JSON: up to {LARGEST_BODY:,} bytes are read."
                    if form == "yaml"
                    else "Send less.",
                )
        if data and form is None:
            raise admission.unsupported("the body does not say what it is", forms)
        if form == "yaml":
            request.state.yaml = bytes(data)
        return decode(bytes(data), kind, form or "json")

    return read


def decode(data: bytes, kind: type[T], form: Form = "json") -> T:
    """The value in a document.

    Raises:
        InvalidInput: it cannot be read or is not of this kind; the place is named.
    """
    try:
        if form == "yaml":
            return msgspec.convert(_plain(data), kind)
        return msgspec.json.decode(data or b"{}", type=kind)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at ")
        # Of a key it says "`key` in `$.field`".
        place = path.split(" in ")[-1].strip("`").removeprefix("$")
        where = "body" + place
        if what.startswith("Invalid enum value"):
            what += _choices(kind, place)
        elif "unknown field" in what and not place:
            what += _nearest(kind, what.split("`")[1])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what, where = f"this is not {form.upper()} ({error})", "body"
    raise InvalidInput(
        what[0].lower() + what[1:], where=where, remedy="See /docs for the fields of this call."
    )


def _nearest(kind: Any, name: str) -> str:
    """The field that may have been meant."""
    near = difflib.get_close_matches(name, getattr(kind, "__struct_fields__", ()), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _plain(data: bytes) -> Any:
    """The value of a YAML document; nothing in it is an empty table.

    Raises:
        msgspec.DecodeError: it is none.
    """
    try:
        found = written.read(data)
    except ValueError as error:
        raise msgspec.DecodeError(str(error)) from error
    return {} if found is None else found


def _choices(kind: type[Any], place: str) -> str:
    """In words what may stand at a place of a body, if its field has a list of choices."""
    name = place.removeprefix(".").partition("[")[0]
    told = inspect.type_info(kind)
    fields = told.fields if isinstance(told, inspect.StructType) else ()
    given = [choice for field in fields if field.encode_name == name for choice in _in(field.type)]
    return f"; choose from {', '.join(given)}" if given else ""


def _in(kind: inspect.Type) -> list[str]:
    match kind:
        case inspect.LiteralType(values=values):
            return [str(value) for value in values]
        case inspect.EnumType(cls=members):
            return [str(member.value) for member in members]
        case inspect.UnionType(types=parts):
            return [choice for part in parts for choice in _in(part)]
        case inspect.ListType(item_type=part) | inspect.VarTupleType(item_type=part):
            return _in(part)
        case inspect.DictType(key_type=part):
            return _in(part)
    return []


def call(
    *,
    takes: type[Any] | None = None,
    gives: type[Any] | None = None,
    status: int = 200,
    forms: Sequence[Form] = ("json",),
) -> dict[str, Any]:
    """Keyword arguments of a route that describe its body and answer in the OpenAPI document."""
    described: dict[str, Any] = {"response_model": None, "status_code": status}
    if takes is not None:
        content = {f"application/{form}": _schema(takes) for form in forms}
        described["openapi_extra"] = {"requestBody": {"required": True, "content": content}}
    answer = {"content": {"application/json": _schema(gives)}} if gives is not None else {}
    described["responses"] = {status: {"description": "Done", **answer}}
    return described


def _schema(kind: type[Any]) -> dict[str, Any]:
    _described[str(kind)] = kind
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REFERENCE)
    return {"schema": schema}


_REFERENCE = "#/components/schemas/{name}"


def components() -> dict[str, Any]:
    """The schemas of every type that some call takes or gives."""
    _, schemas = msgspec.json.schema_components(_described.values(), ref_template=_REFERENCE)
    return schemas
