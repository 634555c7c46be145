"""Every route, asked with what its own OpenAPI document describes, and with what it does not.

More of it: ``pytest --hypothesis-profile=stress tests/serving/fuzz``.
"""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from tests.serving.running import Gateway

load_all_checks()
pytestmark = pytest.mark.timeout(3_600)

# Nobody logs in at the gateway, and nothing is made there that could be gone or missing later.
SENSELESS = ("ignored_auth", "use_after_free", "ensure_resource_availability")
# What these bodies must be, no schema can say in full: what fits it may still be refused.
INEXACT = ("positive_data_acceptance", "negative_data_rejection")
# Here each row is answered for itself: wrong ones make no refusal of the whole. And what one model
# refuses at `/predict`, another may take.
PARTIAL = ("/batch", "/feedback", "/predict")


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_route_keeps_to_its_description(attacked: Gateway, mode: GenerationMode) -> None:
    document = attacked.get("/openapi.json").json()
    found = schemathesis.openapi.from_dict(document).get_all_operations()
    operations = [operation.ok() for operation in found]
    assert len(operations) >= 15
    faults = {}
    for operation in operations:
        told = document["paths"][operation.path][operation.method.lower()]
        skipped = [*SENSELESS, *(() if told.get("x-exact", True) else INEXACT)]
        if operation.path.endswith(PARTIAL) and not operation.path.endswith("levels/predict"):
            skipped.append("negative_data_rejection")
        try:
            ask(attacked, operation, mode, skipped)
        except Unsatisfiable:
            # It takes nothing that could be wrong.
            assert mode is GenerationMode.NEGATIVE
        except FailureGroup as error:
            faults[operation.label] = "\n".join(map(str, error.exceptions))
    assert not faults, "\n\n".join(f"{label}: {fault}" for label, fault in faults.items())


def ask(
    gateway: Gateway, operation: APIOperation, mode: GenerationMode, skipped: list[str]
) -> None:
    """Ask one operation many things."""
    excluded: list[Any] = CHECKS.get_by_names(skipped)
    examples = settings().max_examples

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples // 5,
        derandomize=examples <= 100,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        database=None,
    )
    def once(case: Case) -> None:
        case.body = whole(case.body)
        case.call_and_validate(base_url=gateway.url, excluded_checks=excluded)

    once()


def whole(body: Any) -> Any:
    """To a schema 3.0 is an integer; to the gateway it is a number and no count."""
    if isinstance(body, list):
        return [whole(item) for item in body]
    if not isinstance(body, dict):
        return body
    count = body.get("count")
    exact = {"count": int(count)} if isinstance(count, float) and count.is_integer() else {}
    return {name: whole(value) for name, value in body.items()} | exact
