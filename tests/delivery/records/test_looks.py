"""Looks in the store."""

from __future__ import annotations

from datetime import timedelta
from math import log

import msgspec
import pytest
from sqlalchemy import Engine
from tests.delivery.samples import NOON, deployment, table

from serinus.delivery.records import deployments, looks
from serinus.delivery.verdicts.evidence import Measure
from serinus.delivery.verdicts.judge import judge

SEEN = table(Measure.ERROR, 0.05, challenger=[0, 3])


def test_looks_come_back_as_they_were_the_newest_of_many(engine: Engine) -> None:
    one = deployment(step=1)
    verdict = judge(one.plan, 1, SEEN)
    with engine.begin() as connection:
        deployments.add(connection, one)
        for minute in range(4):
            at = NOON + timedelta(minutes=minute)
            looks.add(connection, [(one, verdict, minute)], at)
        found = looks.newest(connection, "d1", 3)
    assert [at.minute for at, _, _ in found] == [1, 2, 3]
    assert all(step == 1 for _, step, _ in found)
    last = found[-1][2]
    assert msgspec.structs.replace(last, alpha_spent=0.0) == msgspec.structs.replace(
        verdict, alpha_spent=0.0
    )
    assert last.alpha_spent == pytest.approx(verdict.alpha_spent)
    assert last.guardrails[0].harm_bound == pytest.approx(log(1 / 0.010))
