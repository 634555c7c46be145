"""The report's public shape is the report."""

from __future__ import annotations

import msgspec
import pytest

from serinus.client import shadows as public
from serinus.delivery.shadows import types as inside

SHAPES = [name for name in vars(inside) if isinstance(vars(inside)[name], type)]


@pytest.mark.parametrize(
    "name",
    sorted(name for name in SHAPES if vars(inside)[name].__module__ == inside.__name__),
)
def test_public_shape_has_every_field(name: str) -> None:
    fields, public_fields = (
        [field.name for field in msgspec.structs.fields(getattr(module, name))]
        for module in (inside, public)
    )
    assert public_fields == fields


def test_call_asks_for_as_many_pairs_as_were_given() -> None:
    assert public.shadow_report("a/b").path == "/deployments/a%2Fb/shadow"
    assert public.shadow_report("d").query == {}
    assert public.shadow_report("d", pairs=7).query == {"pairs": 7}
