"""Evidence in the store: added to, read by the many, and the entities that were counted."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from sqlalchemy import Engine
from tests.delivery.samples import NOON, deployment, table

from serinus.delivery.records import deployments, evidence
from serinus.delivery.verdicts import watch as watches
from serinus.delivery.verdicts.evidence import EMPTY, Measure

LATER = NOON + timedelta(minutes=5)
SEEN = table(Measure.ERROR, 0.05, challenger=[0, 3])


def test_evidence_adds_up(engine: Engine) -> None:
    with engine.begin() as connection:
        deployments.add(connection, deployment())
        assert evidence.watches(connection, ["d1"])["d1"] == watches.UNSEEN
        followed = watches.UNSEEN.follow(np.full(30, 900.0), np.ones(30, np.bool_))[1]
        evidence.add(connection, [("d1", SEEN, watches.UNSEEN)], LATER)
        evidence.add(connection, [("d1", SEEN, followed)], LATER)
        evidence.add(connection, [("d1", EMPTY, followed)], LATER)
        total = evidence.get(connection, "d1")
        assert total.total(Measure.ERROR, level=1) == 6
        assert evidence.get(connection, "d1") == SEEN + SEEN
        assert evidence.watches(connection, ["d1"])["d1"].encode() == followed.encode()


def test_units_are_known_once_met_and_stay_failed(engine: Engine) -> None:
    met = dict.fromkeys(range(-700, 700), False)
    with engine.begin() as connection:
        evidence.add_units(connection, "d1", met, {})
        known = evidence.units(connection, "d1", met)
        assert known == met
        evidence.add_units(connection, "d1", {7: True, 8: False, 900: True}, known)
        evidence.add_units(connection, "d1", {7: False}, known)
        found = evidence.units(connection, "d1", [7, 8, 900, 901])
        assert found == {7: True, 8: False, 900: True}
        assert evidence.units(connection, "d2", [7]) == {}
