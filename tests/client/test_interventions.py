"""The calls of interventions, as requests."""

from __future__ import annotations

import pytest

from serinus.client import interventions
from serinus.client.types import Deployment

VERBS = ("pause", "resume", "approve", "promote", "abort", "retry")


@pytest.mark.parametrize("verb", VERBS)
def test_calls_say_why(verb: str) -> None:
    call = getattr(interventions, verb)("d 1", reason="because")
    assert (call.method, call.path) == ("POST", f"/deployments/d%201/{verb}")
    assert call.body == {"reason": "because", **({"step": None} if verb == "approve" else {})}
    assert call.gives is Deployment
