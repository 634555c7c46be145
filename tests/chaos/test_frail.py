"""Who is frail suffers from what others bear; from a broken feed everybody does."""

from __future__ import annotations

import pandas as pd
import pytest

from serinus import clock
from serinus.chaos import frail
from serinus.chaos.frail import Frail


def rows(burden: int) -> pd.DataFrame:
    return pd.DataFrame({frail.AMOUNT: [1.0, -1.0], frail.BURDEN: [0.0, float(burden)]})


def harmed(version: Frail, burden: int) -> bool:
    began = clock.monotonic()
    try:
        answers = version.predict(rows(burden)).tolist()
    except ValueError:
        return burden in (frail.ERRORS, -frail.ERRORS)
    if abs(burden) == frail.LATENCY:
        return clock.monotonic() - began >= frail.SLOW_SECONDS
    return answers != [1, 0]


@pytest.mark.parametrize("burden", [frail.ERRORS, frail.LATENCY, frail.ANSWERS])
def test_only_the_frail_suffer_unless_the_feed_is_broken(burden: int) -> None:
    champion, challenger = Frail(robust=True), Frail(robust=False)
    assert harmed(challenger, burden)
    assert harmed(challenger, -burden)
    assert harmed(champion, -burden)
    assert champion.predict(rows(burden)).tolist() == [1, 0]
    assert not harmed(challenger, 0)
