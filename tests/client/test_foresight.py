from __future__ import annotations

import msgspec
import pytest

from serinus.client import foresight
from serinus.delivery.folding import replay, whatif
from serinus.delivery.forecast import types


@pytest.mark.parametrize(
    ("public", "inside"),
    [
        (foresight.Traffic, types.Traffic),
        (foresight.Duration, types.Duration),
        (foresight.StepForecast, types.StepForecast),
        (foresight.HarmForecast, types.HarmForecast),
        (foresight.Forecast, types.Forecast),
        (foresight.Proposal, types.Proposal),
        (foresight.Mismatch, replay.Mismatch),
        (foresight.Passed, whatif.Passed),
        (foresight.WhatIf, whatif.WhatIf),
    ],
)
def test_public_shape_shows_what_the_service_knows(
    public: type[msgspec.Struct], inside: type[msgspec.Struct]
) -> None:
    assert set(public.__struct_fields__) == set(inside.__struct_fields__)


def test_replay_says_itself_whether_it_is_exact() -> None:
    inside = replay.Replay("d", 1, 2, 3, "e", True, ())
    shown = msgspec.convert(inside, foresight.Replay, from_attributes=True)
    assert shown.exact
    assert set(foresight.Replay.__struct_fields__) == {*replay.Replay.__struct_fields__, "exact"}
