"""Calls about experiments as values."""

from __future__ import annotations

from serinus.client import experiments
from serinus.client.types import Deployment, Page


def test_start_sends_what_was_said_only() -> None:
    call = experiments.start_experiment("fraud", "1.1.0", metric="mae")
    assert (call.method, call.path, call.gives) == ("POST", "/experiments", Deployment)
    assert call.body == {"model": "fraud", "challenger": "1.1.0", "metric": "mae"}


def test_history_asks_by_page() -> None:
    call = experiments.experiments(model="fraud", after="d1")
    assert call.path == "/experiments/history"
    assert call.query["model"] == "fraud"
    assert call.query["after"] == "d1"
    assert "live" not in call.query
    assert call.gives is Page[Deployment]


def test_calls_of_one_experiment_quote_its_id() -> None:
    assert experiments.experiment("a/b").path == "/experiments/a%2Fb"
    assert experiments.evaluate("d1").path == "/experiments/d1/evaluate"
    winner = experiments.promote_winner("d1", version="1.1.0")
    assert winner.path == "/experiments/d1/promote-winner"
    assert winner.body == {"version": "1.1.0", "reason": ""}
