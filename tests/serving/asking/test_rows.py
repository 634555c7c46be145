import asyncio

from tests.serving import scripted

from serinus.wire import Arm


def test_live_route_knows_who_answers_for_an_arm():
    async def scenario():
        champion, challenger = (scripted.lane(v, scripted.saying(1)) for v in "12")
        both, alone = scripted.live_route(champion, challenger), scripted.live_route(champion)
        assert both.lane(Arm.CHALLENGER) is challenger
        assert both.lane(Arm.CHAMPION) is champion
        assert alone.lane(Arm.CHALLENGER) is champion

    asyncio.run(scenario())
