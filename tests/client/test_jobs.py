from __future__ import annotations

from serinus.client import jobs


def test_train_sends_what_was_asked_for() -> None:
    call = jobs.train("iris", "m", key="k", algorithm="decision_tree")

    assert (call.method, call.path, call.gives) == ("POST", "/models/train", jobs.Job)
    assert call.body == {
        "data": "iris", "model": "m", "deploy": False, "key": "k", "algorithm": "decision_tree",
    }  # fmt: skip


def test_jobs_ask_only_for_what_was_named() -> None:
    assert jobs.jobs(state="queued").query == {"limit": 100, "state": "queued"}
    assert jobs.cancel_job("a/b").path == "/jobs/a%2Fb/cancel"
