import asyncio

from tests.serving import scripted

from serinus.serving.rows import Ticket
from serinus.wire import Arm


def test_ticket_wakes_when_its_last_row_is_settled():
    async def scenario():
        ticket = Ticket(asyncio.get_running_loop(), 2)
        ticket.settle()
        assert not ticket.future.done()
        ticket.settle()
        assert ticket.future.done()

    asyncio.run(scenario())


def test_ticket_of_a_client_that_left_is_settled_all_the_same():
    async def scenario():
        ticket = Ticket(asyncio.get_running_loop(), 1)
        ticket.future.cancel()
        ticket.settle()
        assert ticket.left == 0

    asyncio.run(scenario())


def test_live_route_knows_who_answers_for_an_arm():
    async def scenario():
        champion, challenger = (scripted.lane(v, scripted.saying(1)) for v in "12")
        both, alone = scripted.live_route(champion, challenger), scripted.live_route(champion)
        assert both.lane(Arm.CHALLENGER) is challenger
        assert both.lane(Arm.CHAMPION) is champion
        assert alone.lane(Arm.CHALLENGER) is champion

    asyncio.run(scenario())
