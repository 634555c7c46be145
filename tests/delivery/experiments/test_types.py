"""Groups in words, and progress towards the planned end."""

from __future__ import annotations

from serinus.delivery.experiments.types import Grouping, Progress


def test_groups_have_names() -> None:
    numbers = Grouping("age", 0, cuts=(10.0, 20.0))
    assert numbers.names() == ("below 10", "10 to 20", "20 or more", "missing")
    assert Grouping("kind", 0, categories=("a", "b")).names() == ("a", "b", "any other")
    assert Grouping("age", 0).names() == ("all", "missing")


def test_progress_is_the_lesser_of_sample_and_time() -> None:
    def share(units: int, seconds: float, planned: float = 100.0) -> float:
        return Progress(units, 200, seconds, planned, None, None, None).share

    assert share(100, 20.0) == 0.2
    assert share(20, 80.0) == 0.1
    assert share(900, 900.0) == 1.0
    assert share(50, 0.0, 0.0) == 0.25
