from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest
from tests.api.running import MODEL, Faces

from serinus import clock
from serinus.client import monitoring
from serinus.errors import InvalidInput, NotFound
from serinus.processes.watch import Watch
from serinus.registry.types import Stage
from serinus.stats import bins
from serinus.wire import Arm, Assignment, Output, Prediction


def test_start_says_that_it_runs_as_often_as_asked(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)

    answers = [httpx.get(f"{faces.url}/monitoring/start").json() for _ in range(2)]

    assert answers[0] == answers[1] == httpx.get(f"{faces.url}/api/monitoring/status").json()
    assert answers[0]["running"] is True
    assert answers[0]["models"] == {MODEL: "NO_ACTION_NEEDED"}


def test_recommendation_of_a_quiet_model(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)

    with faces.client as client:
        found = client.recommendation(MODEL)
        assert list(client.drift_history(MODEL)) == []
        assert list(client.performance_history(MODEL)) == []

    assert found.action == "NO_ACTION_NEEDED"
    assert found.reasons


def test_history_of_an_unknown_model(faces: Faces) -> None:
    with faces.client as client:
        for ask in (client.drift_history, client.performance_history):
            with pytest.raises(NotFound):
                list(ask("nobody"))
        with pytest.raises(NotFound):
            client.recommendation("nobody")


def test_profiles_of_a_version_by_the_minute_and_summed(faces: Faces) -> None:
    reference = bins.reference_profile(
        {"amount": [float(place) for place in range(100)], "age": [20.0, 40.0]}, [0.1, 0.9]
    )
    faces.register("1.0.0", stage=Stage.PRODUCTION, reference=reference)
    start = clock.to_epoch_us(datetime(2026, 1, 1, 12, tzinfo=UTC))
    assignment = Assignment(MODEL, Arm.CHAMPION, 0.0, 1)
    faces.writer.append(
        [
            Prediction(
                start + second * 1_000_000,
                assignment,
                "1.0.0",
                (-5.0 if second % 10 == 0 else 50.0, None),
                Output(1, (0.3, 0.7)),
                900,
            )
            for second in range(150)
        ]
    )
    Watch(faces.app).look()
    span = {"since": datetime(2026, 1, 1, tzinfo=UTC), "until": datetime(2026, 1, 2, tzinfo=UTC)}
    with faces.client as client:
        [whole] = client.profiles(MODEL, **span, resolution="all")
        assert (whole.rows, whole.version) == (150, "1.0.0")
        amount, age, _ = whole.columns
        assert (amount.name, amount.below, amount.above, amount.missing) == ("amount", 15, 0, 0)
        assert (age.missing, age.unseen) == (150, None)
        minutes = list(client.profiles(MODEL, **span, resolution="minute"))
        assert [item.rows for item in minutes] == [60, 60, 30]
        assert list(client.profiles(MODEL)) == []
        assert list(client.profiles(MODEL, **span, version="2.0.0")) == []
        with pytest.raises(NotFound):
            list(client.profiles("nobody"))
        for wrong in ({"since": span["since"].replace(tzinfo=None)}, {"after": "yesterday"}):
            with pytest.raises(InvalidInput):
                list(client.profiles(MODEL, **wrong))
    first = httpx.get(
        f"{faces.url}/api/models/{MODEL}/profiles",
        params={"since": "2026-01-01T00:00Z", "until": "2026-01-02T00:00Z", "limit": 2}
        | {"resolution": "minute"},
    ).json()
    assert [item["rows"] for item in first["items"]] == [60, 60]
    with faces.client as client:
        following = monitoring.profiles(MODEL, **span, resolution="minute", after=first["next"])
        after = client.run(following)
    assert [item.rows for item in after.items] == [30]
