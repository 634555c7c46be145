import asyncio
import dataclasses

from tests.serving import scripted

from serinus.wire import Arm


def in_loop(scenario):
    async def inside():
        scenario(*(scripted.lane(version, scripted.saying(1)) for version in "123"))

    asyncio.run(inside())


def test_live_route_knows_who_answers_for_an_arm():
    def scenario(champion, challenger, other):
        both, alone = scripted.live_route(champion, challenger), scripted.live_route(champion)
        assert both.lane(Arm.CHALLENGER) is challenger
        assert both.lane(Arm.CHAMPION) is champion
        assert alone.lane(Arm.CHALLENGER) is champion
        several = scripted.live_route(champion, challenger, [None, other])
        assert several.lane(Arm.CHALLENGER, 2) is other
        assert several.lane(Arm.CHALLENGER, 1) is champion
        assert several.answering == (champion, challenger, other)

    in_loop(scenario)


def test_live_route_knows_the_arm_of_a_version():
    def scenario(champion, challenger, other):
        several = scripted.live_route(champion, challenger, [None, other])
        assert several.place("1") == (Arm.CHAMPION, 0)
        assert several.place("2") == (Arm.CHALLENGER, 0)
        assert several.place("3") == (Arm.CHALLENGER, 2)
        assert several.place("4") is None

    in_loop(scenario)


def test_live_route_has_a_stand_in_for_who_fails():
    def scenario(champion, challenger, other):
        route = scripted.live_route(champion, challenger, [other])
        assert route.stand_in(challenger) is route.stand_in(other) is champion
        assert route.stand_in(champion) is None
        soaking = scripted.live_route(champion, challenger, stands_in=True)
        assert soaking.stand_in(champion) is challenger

    in_loop(scenario)


def test_live_route_shows_a_version_the_inputs_that_it_takes():
    def scenario(champion, challenger, _):
        alike = scripted.live_route(champion, challenger)
        given = (1.0, 2.0, 3.0, 4.0)
        assert alike.features(given, "2") is given
        differing = dataclasses.replace(alike, projections={"2": (3, 0)})
        assert differing.features(given, "1") is given
        assert differing.features(given, "2") == (4.0, 1.0)

    in_loop(scenario)
