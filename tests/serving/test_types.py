import dataclasses
from pathlib import Path

import pytest

from serinus.serving.types import GatewayOptions


def test_gateway_options_are_frozen_and_give_a_worker_one_core():
    options = GatewayOptions(routing_table=Path("routing.json"), ledger=Path("ledger"))
    assert options.environment["OMP_NUM_THREADS"] == "1"
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.port = 1  # type: ignore[misc]
