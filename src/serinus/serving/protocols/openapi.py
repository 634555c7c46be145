"""The gateway's calls as an OpenAPI 3.1 document, made of the models that it serves. Pure.

What is native is described exactly: what fits is taken, what does not is refused. The bodies of
the other protocols hold what a schema cannot say (that a shape is that of its data, say); their
schemas allow more than is taken and nothing less, and their operations say so: ``x-exact: false``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote

import msgspec

from serinus.serving.protocols import answers, open_inference, tensors
from serinus.serving.protocols import openapi_schemas as schemas
from serinus.wire import Field, Manifest

Document: TypeAlias = dict[str, Any]

_ARM = {
    "name": "x-serinus-arm",
    "in": "header",
    "description": "Forces an arm or a version for a test; such a request is no evidence.",
    "schema": {"type": "string", "pattern": "^(champion|challenger|[0-9][0-9A-Za-z.+-]{0,63})$"},
}
_TIMEOUT = {
    "name": "x-serinus-timeout-ms",
    "in": "header",
    "description": "How long the client waits.",
    "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
}
_HEADERS = [_ARM, _TIMEOUT]
_PROBLEMS: Mapping[str, str] = {
    "404": "There is no such model, no such prediction, or nothing in Staging.",
    "409": "Who is demanded is not being served.",
    "413": "The body is too large.",
    "415": "The body is of another type, or compressed in another way, than can be read.",
    "422": "The body cannot be used; it says which field is wrong.",
    "429": "More is asked than can be answered; try again after Retry-After seconds.",
    "503": "No answer now: nothing is being served, the model failed, or its time was over.",
}


class Served(msgspec.Struct, frozen=True):
    """A model as it is being served.

    ``inputs`` are what a request may hold, ``manifests`` and ``versions`` those of the champion
    and the challengers; ``is_staged`` is whether there is a version in Staging too.
    """

    inputs: tuple[Field, ...]
    manifests: tuple[Manifest, ...]
    versions: tuple[str, ...]
    is_staged: bool = False

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifests[0].model


def document(
    models: Sequence[Served], *, version: str, max_rows: int, others: bool = False
) -> Document:
    """All calls of a gateway.

    Args:
        models: those that are loaded.
        version: of Serinus.
        max_rows: that one request may have.
        others: whether more are meant to be served, so that a request has to name its model.
    """
    paths: Document = {}
    components: Document = dict(schemas.SHARED)
    for index, model in enumerate(models):
        names = _names(components, model, index, max_rows)
        paths |= _of_model(model, names)
    staged = [model for model in models if model.is_staged]
    for model in staged:
        paths |= _staging(f"/staging/models/{quote(model.name, safe='')}", model)
    if len(staged) == 1:
        paths |= _staging("/staging", staged[0])
    if len(models) == 1 and not others:
        names = _Names.of(0)
        paths |= _predictions("", models[0], names)
    elif models:
        components["AnyRequest"] = {
            "anyOf": [_of_several(_Names.of(i)) for i in range(len(models))]
        }
        answer = {"anyOf": [_ref(_Names.of(index).answer) for index in range(len(models))]}
        body = _body(_ref("AnyRequest"), {"model": models[0].name, "features": _example(models[0])})
        paths["/predict"] = {"post": _call("predict", "One row of any model", answer, body=body)}
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Serinus gateway",
            "version": version,
            "description": "Predictions, and what turned out of them.",
        },
        "paths": paths | _plain(),
        "components": {"schemas": components},
    }


class _Names(msgspec.Struct, frozen=True):
    """What a model's schemas are called; its own name may hold what a reference cannot."""

    features: str
    request: str
    batch: str
    answer: str

    @classmethod
    def of(cls, index: int) -> _Names:
        kinds = ("Features", "Request", "Batch", "Answer")
        return cls(*(f"{kind}{index or ''}" for kind in kinds))


def _names(components: Document, model: Served, index: int, max_rows: int) -> _Names:
    names = _Names.of(index)
    components[names.features] = schemas.features(model.inputs, model.name)
    components[names.request] = schemas.request(_ref(names.features), model.name)
    components[names.batch] = schemas.batch(_ref(names.request), max_rows)
    components[names.answer] = schemas.answer(model.manifests, model.name)
    return names


def _of_several(names: _Names) -> Document:
    return {"allOf": [_ref(names.request), {"required": ["model"], "not": schemas.NO_MODEL}]}


def _of_model(model: Served, names: _Names) -> Document:
    place = f"/models/{quote(model.name, safe='')}"
    return {
        place: {"get": _call(f"{names.answer}Info", "The model as it is served", schemas.ANY)},
        **_predictions(place, model, names),
        **_open_inference(f"/v2{place}", model, names),
    }


def _predictions(place: str, model: Served, names: _Names) -> Document:
    key = f"{names.answer}{'Of' if place else ''}"
    features = _example(model)
    one = _body(_ref(names.request), {"features": features})
    many = _body(_ref(names.batch), {"requests": [{"features": features}]})
    rows = schemas.predictions(_ref(names.answer))
    return {
        f"{place}/predict": {
            "post": _call(f"{key}Predict", "One row", _ref(names.answer), body=one)
        },
        f"{place}/predict/batch": {
            "post": _call(f"{key}Batch", "Rows, each answered for itself", rows, body=many)
        },
        f"{place}/invocations": {"post": _invocations(f"{key}Invocations", model)},
    }


def _invocations(key: str, model: Served) -> Document:
    features = _example(model)
    split = {"columns": list(features), "data": [list(features.values())]}
    text = ",".join(f'"{name}"' for name in features)
    line = ",".join("" if cell is None else f'"{cell}"' for cell in features.values())
    body = {
        "required": True,
        "content": {
            "application/json": {
                "schema": schemas.INVOCATIONS,
                "example": {"dataframe_split": split},
            },
            "text/csv": {"schema": {"type": "string"}, "example": f"{text}\n{line}\n"},
        },
    }
    call = _call(key, "Rows, as mlflow models serve takes them", schemas.INVOKED, body=body)
    call["responses"] |= _other_forms(schemas.MLFLOW_ERROR)
    return call | {"tags": ["MLflow"], "x-exact": False}


def _open_inference(place: str, model: Served, names: _Names) -> Document:
    told = open_inference.metadata(model.inputs, model.manifests[0], model.versions)
    example = {
        "inputs": [
            {
                "name": item.name,
                "shape": [1],
                "datatype": item.datatype,
                "data": [_example(model)[item.name]],
            }
            for item in told.inputs
        ],
        "outputs": [{"name": tensors.PREDICTION}],
    }
    version = {
        "name": "version",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": list(model.versions)},
    }
    found: Document = {}
    for part, given in (("", []), ("/versions/{version}", [version])):
        key = f"{names.answer}{'Version' if part else ''}"
        infer = _call(
            f"{key}Infer", "Rows as tensors", schemas.INFERRED, body=_body(schemas.INFER, example)
        )
        infer["parameters"] = [*_HEADERS, *given]
        infer["x-exact"] = False
        calls = {
            "": {"get": _call(f"{key}Metadata", "Tensors taken and given", schemas.METADATA)},
            "/ready": {"get": _call(f"{key}Ready", "Whether it answers", schemas.ANY)},
            "/infer": {"post": infer},
        }
        for rest, call in calls.items():
            for operation in call.values():
                operation["responses"] |= _other_forms(schemas.V2_ERROR)
                operation["tags"] = ["Open Inference Protocol"]
                operation.setdefault("parameters", list(given))
            found[f"{place}{part}{rest}"] = call
    return found


def _plain() -> Document:
    """The calls that are about no model."""
    feedback = _body(_ref("Feedback"), {"prediction_id": "0" * 32, "label": 1})
    told = _call("feedback", "What turned out", _ref("Told"), body=feedback, status="202")
    told.pop("parameters")
    reload = _call("reload", "Read the routing table now", schemas.ANY)
    health = _call("ready", "Whether predictions are answered", schemas.ANY)
    health["responses"]["503"] = _answer("They are not.", schemas.ANY)
    return {
        "/feedback": {"post": told},
        "/reload-model": {"post": reload},
        "/health": {"get": _call("health", "How the worker is", schemas.ANY)},
        "/health/live": {"get": _call("live", "That the worker lives", schemas.ANY)},
        "/health/ready": {"get": health},
        "/model-info": {"get": _call("modelInfo", "The models being served", schemas.ANY)},
        "/stats": {"get": _call("stats", "Counts and latencies", schemas.ANY)},
        "/metrics": {"get": _text("metrics", "The same for Prometheus")},
        "/ping": {"get": _text("ping", "MLflow: whether a model is there", bad="503")},
        "/version": {"get": _text("version", "MLflow: the version whose protocol is spoken")},
        "/openapi.json": {"get": _call("openapi", "This document", schemas.ANY)},
        "/v2": {"get": _call("v2", "Open Inference Protocol: the server", schemas.ANY)},
        "/v2/health/live": {"get": _call("v2live", "That the worker lives", schemas.ANY)},
        "/v2/health/ready": {"get": _v2_ready()},
    }


def _staging(place: str, model: Served) -> Document:
    """The calls of a version in Staging, which may take other inputs than one in production."""
    row = {"type": "object", "properties": {"features": schemas.ANY}, "required": ["features"]}
    rows = {
        "type": "object",
        "properties": {"requests": {"type": "array", "items": row, "minItems": 1}},
        "required": ["requests"],
    }
    one = {"features": _example(model)}
    single = _body(row, one)
    batch = _body(rows, {"requests": [one]})
    key = place.replace("/", "_")
    calls = {
        "/predict": {"post": _call(f"{key}Predict", "One row", schemas.ANY, body=single)},
        "/predict/batch": {"post": _call(f"{key}Batch", "Rows", schemas.ANY, body=batch)},
        "" if "models" in place else "/model-info": {
            "get": _call(f"{key}Info", "The version in Staging", schemas.ANY)
        },
    }
    for call in calls.values():
        for operation in call.values():
            operation["parameters"] = [_TIMEOUT] if "requestBody" in operation else []
            operation["tags"] = ["Staging"]
            operation["x-exact"] = False
    return {f"{place}{rest}": call for rest, call in calls.items()}


def _v2_ready() -> Document:
    call = _call("v2ready", "Whether predictions are answered", schemas.ANY)
    call["responses"]["503"] = _answer("They are not.", schemas.ANY)
    return call


# ------------------------------------------------------------------ parts


def _call(
    key: str, summary: str, answer: Document, *, body: Document | None = None, status: str = "200"
) -> Document:
    call: Document = {
        "operationId": key,
        "summary": summary,
        "responses": {status: _answer("The answer.", answer)},
    }
    if body is not None:
        call["requestBody"] = body
        call["parameters"] = list(_HEADERS)
    wrong = _PROBLEMS if body is not None else {"503": _PROBLEMS["503"], "404": _PROBLEMS["404"]}
    problem = {"application/problem+json": {"schema": _ref("Problem")}}
    for code, what in {**wrong, "default": "What is wrong with the request."}.items():
        call["responses"][code] = {"description": what, "content": problem}
    return call


def _other_forms(schema: Document) -> Document:
    """The refusals of a protocol of others; what is no request at all is refused as ever."""
    content = {
        "application/json": {"schema": schema},
        "application/problem+json": {"schema": _ref("Problem")},
    }
    codes = {**_PROBLEMS, "400": _PROBLEMS["422"], "default": "What is wrong with the request."}
    return {code: {"description": what, "content": content} for code, what in codes.items()}


def _text(key: str, summary: str, *, bad: str = "") -> Document:
    schema = {"schema": {"type": "string"}}
    responses = {
        code: {"description": "The answer.", "content": {"text/plain": schema}}
        for code in ("200", bad)
        if code
    }
    return {"operationId": key, "summary": summary, "responses": responses}


def _answer(description: str, schema: Document) -> Document:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _body(schema: Document, example: object) -> Document:
    content = {"application/json": {"schema": schema, "example": example}}
    return {"required": True, "content": content}


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}


def _example(model: Served) -> Document:
    """Features that the model answers."""
    given: Document = {}
    for manifest in reversed(model.manifests):
        given |= manifest.example
    return {
        field.name: given.get(field.name, schemas.MADE_UP[field.type] if field.required else None)
        for field in model.inputs
    }


def encode(made: Document) -> bytes:
    """The document as it is sent."""
    return answers.encode(made)
