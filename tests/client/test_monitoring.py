from __future__ import annotations

from datetime import UTC, datetime

from serinus.client import monitoring


def test_profiles_ask_for_a_span_in_iso_times() -> None:
    call = monitoring.profiles("m", since=datetime(2026, 1, 31, tzinfo=UTC), resolution="day")

    assert call.path == "/models/m/profiles"
    assert call.query == {
        "limit": 100, "since": "2026-01-31T00:00:00+00:00", "resolution": "day",
    }  # fmt: skip


def test_windows_are_pages_of_plain_values() -> None:
    assert monitoring.drift_history("m", limit=5).query == {"limit": 5}
    assert monitoring.recommendation("m").gives is monitoring.Recommendation
