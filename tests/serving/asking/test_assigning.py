import asyncio

import pytest
from tests.serving import scripted

from serinus.errors import Conflict
from serinus.serving.asking.assigning import assigned
from serinus.serving.asking.breaker import Circuit
from serinus.wire import Arm, BreakerRules

ROWS = BreakerRules().rows


def in_loop(scenario):
    async def run():
        scenario()

    asyncio.run(run())


def route_of(challengers, **more):
    lanes = [scripted.lane(str(place), scripted.saying(place)) for place in range(challengers + 1)]
    for lane in lanes[1:]:
        lane.mistrust()
    return scripted.live_route(*lanes[:2], others=lanes[2:], **more)


def opened(lane):
    lane.breaker.note(0, ROWS, 0.0)
    assert lane.breaker.circuit is Circuit.OPEN
    # It opened at a time long ago, so it must rest from now on.
    lane.breaker.rules = BreakerRules(rest_seconds=1e12, longest_rest_seconds=1e12)


@pytest.mark.parametrize("challengers", [0, 1, 3])
def test_assigned_by_the_route_where_nothing_is_wrong(challengers):
    def scenario():
        live = route_of(challengers, share=0.5, unit="entity")
        for number in range(50):
            key = f"e{number}"
            assert assigned(live, key, None, None) == live.router.assign(key)

    in_loop(scenario)


def test_assigned_with_an_open_circuit_is_no_evidence():
    def scenario():
        live = route_of(1, share=1.0)
        opened(live.challenger)
        found = assigned(live, None, None, None)
        assert (found.arm, found.share, found.deployment) == (Arm.CHAMPION, 0.0, "")

    in_loop(scenario)


def test_assigned_with_one_of_several_circuits_open_compares_the_others():
    def scenario():
        live = route_of(3, share=0.3, unit="entity")
        opened(live.others[0])
        found = [assigned(live, f"e{number}", None, None) for number in range(200)]
        assert {one.shares for one in found} == {(0.3, 0.0, 0.1)}
        assert {one.variant for one in found if one.arm is Arm.CHALLENGER} == {0, 2}
        assert {one.deployment for one in found} == {"d"}

    in_loop(scenario)


@pytest.mark.parametrize("challengers", [1, 3])
def test_assigned_of_who_cannot_wait_is_no_evidence(challengers):
    def scenario():
        live = route_of(challengers, share=0.5)
        found = [assigned(live, None, None, 0.001) for _ in range(20)]
        assert {(one.arm, one.deployment) for one in found} == {(Arm.CHAMPION, "")}
        assert assigned(live, None, None, 1.0).deployment == "d"

    in_loop(scenario)


def test_assigned_half_open_sends_as_many_probes_as_the_rules_say():
    def scenario():
        live = route_of(3, share=1.0)
        live.challenger.breaker.note(0, ROWS, 0.0)
        live.challenger.breaker.rules = BreakerRules(rest_seconds=1.0, probes=2)
        arms = [assigned(live, None, None, None) for _ in range(5)]
        assert [one.shares[0] for one in arms] == [1.0, 1.0, 0.0, 0.0, 0.0]
        assert live.challenger.breaker.circuit is Circuit.HALF_OPEN

    in_loop(scenario)


@pytest.mark.parametrize(
    ("demand", "arm", "variant"),
    [
        (Arm.CHAMPION, Arm.CHAMPION, 0),
        (Arm.CHALLENGER, Arm.CHALLENGER, 0),
        ("0", Arm.CHAMPION, 0),
        ("1", Arm.CHALLENGER, 0),
        ("3", Arm.CHALLENGER, 2),
    ],
    ids=str,
)
def test_assigned_to_who_is_demanded(demand, arm, variant):
    def scenario():
        found = assigned(route_of(3, share=0.0), "e", demand, None)
        assert (found.arm, found.variant, found.deployment) == (arm, variant, "")

    in_loop(scenario)


@pytest.mark.parametrize(
    ("demand", "says"), [(Arm.CHALLENGER, "no challenger"), ("9", "'9'")], ids=["arm", "version"]
)
def test_assigned_to_who_is_not_served_is_refused(demand, says):
    def scenario():
        with pytest.raises(Conflict, match=says) as caught:
            assigned(route_of(0), None, demand, None)
        assert caught.value.where == "x-serinus-arm"

    in_loop(scenario)
