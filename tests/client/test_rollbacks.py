"""Shapes and calls of rollbacks."""

from __future__ import annotations

import msgspec
import pytest

from serinus.client import rollbacks
from serinus.client.rollbacks import DefaultAnswer


def test_rollback_is_from_to_in_json() -> None:
    names = dict(
        zip(
            rollbacks.Rollback.__struct_fields__,
            rollbacks.Rollback.__struct_encode_fields__,
            strict=True,
        )
    )
    assert (names["taken_back"], names["to"]) == ("from", "to")


@pytest.mark.parametrize(
    ("call", "method", "path"),
    [
        (rollbacks.rollback("fraud"), "POST", "/models/fraud/rollback"),
        (rollbacks.rollback_plan("fraud"), "GET", "/models/fraud/rollback"),
        (rollbacks.rollbacks("fraud"), "GET", "/rollbacks"),
        (rollbacks.rollback_of("r/1"), "GET", "/rollbacks/r%2F1"),
        (rollbacks.decline_rollback("r1"), "POST", "/rollbacks/r1/decline"),
        (rollbacks.set_default("fraud", 0), "PUT", "/models/fraud/default"),
        (rollbacks.clear_default("fraud"), "DELETE", "/models/fraud/default"),
        (rollbacks.defaults(), "GET", "/defaults"),
        (rollbacks.default_alone("fraud"), "PUT", "/models/fraud/default/alone"),
        (rollbacks.end_default_alone("fraud"), "DELETE", "/models/fraud/default/alone"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_calls_ask_where_the_api_answers(
    call: rollbacks.Call[object], method: str, path: str
) -> None:
    assert (call.method, call.path) == (method, path)


def test_rollback_plan_asks_for_a_version_only_if_one_is_named() -> None:
    assert rollbacks.rollback_plan("fraud").query == {}
    assert rollbacks.rollback_plan("fraud", "1.0.0").query == {"version": "1.0.0"}


def test_default_keeps_the_kind_of_its_answer() -> None:
    data = b'{"model":"m","answer":1,"actor":"a","reason":"","at":"2026-01-01T00:00:00Z"}'
    assert type(msgspec.json.decode(data, type=DefaultAnswer).answer) is int
