import json

import pytest

from serinus.bench.bars import Bar


@pytest.mark.parametrize(
    ("bar", "holds"),
    [
        (Bar("speed", 0.7, at_least=0.7), True),
        (Bar("speed", 0.69, at_least=0.7), False),
        (Bar("latency", 5.0, at_most=5, unit="ms"), True),
        (Bar("latency", 5.1, at_most=5, unit="ms"), False),
        (Bar("latency", float("nan"), at_least=5), False),
        (Bar("peers", None, at_least=15, note="none could be installed"), None),
    ],
)
def test_bar_holds_up_to_its_limit(bar, holds):
    assert bar.holds is holds
    assert bar.as_dict()["holds"] is holds
    assert json.dumps(bar.as_dict())
    assert bar.row()[3] == {True: "holds", False: "missed", None: "not measured"}[holds]


def test_bar_as_text_has_limit_and_unit():
    assert Bar("latency", 1234.5, at_most=5, unit="ms").row() == (
        "latency",
        "1,234 ms",
        "≤ 5 ms",
        "missed",
        "",
    )
