"""What a deployment is where nobody says: Serinus's own defaults, above them the model type's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serinus.delivery.planning import faults
from serinus.delivery.planning.decoding import decode
from serinus.delivery.types import DeploymentSpec
from serinus.errors import InvalidInput
from serinus.registry.model_types import ModelType

_ITS_OWN = ("model", "challenger", "champion", "others")
_NAMED = {"model": "", "challenger": ""}


def specification(said: Mapping[str, Any], *below: Mapping[str, Any]) -> DeploymentSpec:
    """What was said, above each of what stands below it, above Serinus's own defaults.

    Args:
        said: fields that were decoded; a model or a challenger that is missing is "".
        below: fields as they are written, strongest first, known to be sound.
    """
    fields: dict[str, Any] = dict(_NAMED)
    for table in reversed(below):
        fields |= decode({**_NAMED, **table})[0]
    return DeploymentSpec(**{**fields, **said})


def check(types: Mapping[str, ModelType]) -> None:
    """Do nothing if what every model type says of deliveries is a plan.

    Raises:
        InvalidInput: listing every fault of every type.
    """
    found = [f"{name}.delivery.{fault}" for name, kind in types.items() for fault in _faults(kind)]
    if found:
        raise InvalidInput(
            "the model types cannot be used",
            where="model_types",
            faults=found,
            remedy="Correct these; docs/reference/plans.md names the fields of a specification.",
        )


def _faults(kind: ModelType) -> list[str]:
    own = [f"{name}: belongs to one deployment" for name in _ITS_OWN if name in kind.delivery]
    _, mistyped = decode({**_NAMED, **kind.delivery})
    if own or mistyped:
        return own + mistyped
    return faults.of(specification({}, kind.delivery), task=kind.task)
