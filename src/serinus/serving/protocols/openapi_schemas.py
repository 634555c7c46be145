"""The JSON schemas of the gateway's bodies and answers. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from serinus.serving.protocols.invocations import FORMS
from serinus.serving.protocols.tensors import DATATYPES
from serinus.wire import Field, Manifest

Schema: TypeAlias = dict[str, Any]

MADE_UP: Mapping[str, Any] = {"double": 0.0, "long": 0, "boolean": False, "string": ""}
"""A value of each type, where a manifest has no example."""

_NUMBER = {"type": "number", "minimum": -sys.float_info.max, "maximum": sys.float_info.max}
_LONG = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
_OF: Mapping[str, Schema] = {
    "double": _NUMBER,
    "long": _LONG,
    "boolean": {"type": "boolean"},
    "string": {"type": "string"},
}
_NULL = {"type": "null"}
_ID = {"type": "string", "pattern": "^[0-9a-f]{32}$"}

ANY: Schema = {"type": "object"}
NO_MODEL: Schema = {"properties": {"model": _NULL}}

# ------------------------------------------------------------------ a model's own


def features(inputs: Sequence[Field], model: str) -> Schema:
    """The values of one row."""
    return {
        "title": f"Inputs of {model}",
        "type": "object",
        "properties": {
            field.name: _OF[field.type] if field.required else {"anyOf": [_OF[field.type], _NULL]}
            for field in inputs
        },
        "required": [field.name for field in inputs if field.required],
        "additionalProperties": False,
    }


def request(row: Schema, model: str) -> Schema:
    """One row to be answered."""
    return {
        "type": "object",
        "properties": {
            "features": row,
            "entity": {
                "description": "Whose row it is: keeps a customer with one version.",
                "anyOf": [{"type": "string", "minLength": 1}, {"type": "integer"}, _NULL],
            },
            "model": {"enum": [model, None]},
        },
        "required": ["features"],
        "additionalProperties": False,
    }


def batch(one: Schema, max_rows: int) -> Schema:
    """Rows to be answered; what is wrong with one of them is said of that one alone."""
    rows = {"type": "array", "items": one, "minItems": 1, "maxItems": max_rows}
    return {
        "type": "object",
        "properties": {"requests": rows},
        "required": ["requests"],
        "additionalProperties": False,
    }


def answer(manifests: Sequence[Manifest], model: str) -> Schema:
    """The answer to one row."""
    classes = [name for manifest in manifests for name in manifest.classes]
    known = all(manifest.classes for manifest in manifests)
    value: Schema = {"enum": list(dict.fromkeys(classes))} if known else {}
    if manifests[0].task == "regression":
        value = {"type": "number"}
    return {
        "title": f"Answer of {model}",
        "type": "object",
        "properties": {
            "prediction": value,
            "prediction_id": {"type": "string", "pattern": "^([0-9a-f]{32})?$"},
            "model": {"const": model},
            "version": {"type": "string"},
            "arm": {"enum": ["champion", "challenger"]},
            "revision": {"type": "integer"},
            "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
            "fallback": {"type": "boolean"},
        },
        "required": ["prediction", "prediction_id", "model", "version", "arm", "revision"],
    }


def predictions(one: Schema) -> Schema:
    """The answers to a batch."""
    refused = {
        "type": "object",
        "properties": {"error": {"$ref": "#/components/schemas/Problem"}},
        "required": ["error"],
    }
    return {
        "type": "object",
        "properties": {"predictions": {"type": "array", "items": {"anyOf": [one, refused]}}},
        "required": ["predictions"],
    }


# ------------------------------------------------------------------ shared

_PROBLEM: Schema = {
    "title": "A problem (RFC 9457)",
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "where": {"type": "string"},
        "remedy": {"type": "string"},
        "faults": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["title", "status", "detail"],
}
_ITEM: Schema = {
    "type": "object",
    "description": "What was true, what it was worth, or both.",
    "properties": {
        "prediction_id": _ID,
        "label": {"anyOf": [_NUMBER, {"type": "string"}, {"type": "boolean"}]},
        "value": _NUMBER,
    },
    "required": ["prediction_id"],
    "anyOf": [{"required": ["label"]}, {"required": ["value"]}],
    "additionalProperties": False,
}
_TOLD: Schema = {
    "type": "object",
    "properties": {
        "accepted": {"type": "integer", "minimum": 0},
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "index": {"type": "integer"},
                    "error": {"$ref": "#/components/schemas/Problem"},
                },
            },
        },
    },
    "required": ["accepted"],
}
SHARED: Schema = {
    "Problem": _PROBLEM,
    "FeedbackItem": _ITEM,
    "Feedback": {
        "anyOf": [
            {"$ref": "#/components/schemas/FeedbackItem"},
            {
                "type": "object",
                "properties": {
                    "labels": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"$ref": "#/components/schemas/FeedbackItem"},
                    }
                },
                "required": ["labels"],
                "additionalProperties": False,
            },
        ]
    },
    "Told": _TOLD,
}

# ------------------------------------------------------------------ MLflow's

_RECORDS: Schema = {"type": "array", "minItems": 1, "items": {"type": "object"}}
_FORM: Mapping[str, Schema] = {
    "dataframe_split": {
        "type": "object",
        "properties": {
            "columns": {"type": "array"},
            "index": {},
            "data": {"type": "array", "minItems": 1, "items": {"type": "array"}},
        },
        "required": ["columns", "data"],
        "additionalProperties": False,
    },
    "dataframe_records": _RECORDS,
    "instances": {"type": ["object", "array"]},
    "inputs": {"type": ["object", "array"]},
}
INVOCATIONS: Schema = {
    "type": "object",
    "properties": {**_FORM, "params": {"type": ["object", "null"], "maxProperties": 0}},
    "oneOf": [{"required": [form]} for form in FORMS],
}
INVOKED: Schema = {
    "type": "object",
    "properties": {
        "predictions": {"type": "array"},
        "prediction_ids": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["predictions", "prediction_ids"],
}
MLFLOW_ERROR: Schema = {
    "type": "object",
    "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
    "required": ["error_code", "message"],
}

# ------------------------------------------------------------------ the Open Inference Protocol's

_SHAPE: Schema = {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": 16}
_TENSOR: Schema = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "shape": _SHAPE,
        "datatype": {"enum": list(DATATYPES)},
        "data": {"type": ["array", "null"]},
        "parameters": {"type": "object"},
    },
    "required": ["name", "shape", "datatype"],
}
_WANTED: Schema = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "parameters": {"type": "object"}},
    "required": ["name"],
}
INFER: Schema = {
    "type": "object",
    "description": (
        "One tensor per input, of shape [N] or [N, 1]; of a model of numbers also a single one of "
        "shape [N, inputs]. Tensors may follow as bytes, with Inference-Header-Content-Length."
    ),
    "properties": {
        "id": {"type": ["string", "null"]},
        "inputs": {"type": "array", "minItems": 1, "items": _TENSOR},
        "outputs": {"type": "array", "items": _WANTED},
        "parameters": {"type": "object"},
    },
    "required": ["inputs"],
}
INFERRED: Schema = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "parameters": {"type": "object"},
        "outputs": {"type": "array", "items": _TENSOR},
    },
    "required": ["model_name", "outputs"],
}
METADATA: Schema = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "versions": {"type": "array", "items": {"type": "string"}},
        "platform": {"type": "string"},
        "inputs": {"type": "array"},
        "outputs": {"type": "array"},
        "parameters": {"type": "object"},
    },
    "required": ["name", "versions", "platform", "inputs", "outputs"],
}
V2_ERROR: Schema = {
    "type": "object",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
}
