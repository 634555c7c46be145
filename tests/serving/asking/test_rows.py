import asyncio

from tests.serving import scripted

from serinus.errors import DeadlinePassed, Unavailable
from serinus.serving.asking.rows import Ticket
from serinus.wire import Arm


def test_ticket_tells_once_when_its_last_row_is_settled():
    told = []
    ticket = Ticket(2, told.append)
    ticket.settle()
    assert (told, ticket.is_over) == ([], False)
    ticket.settle()
    assert (told, ticket.is_over) == ([None], True)
    ticket.expire()
    assert told == [None]


def test_ticket_whose_time_is_over_tells_why_and_no_more():
    told = []
    for is_clients in (False, True):
        ticket = Ticket(1, told.append, is_clients=is_clients)
        ticket.expire()
        ticket.settle()
        assert ticket.left == 0
    assert [type(error) for error in told] == [Unavailable, DeadlinePassed]


def test_live_route_knows_who_answers_for_an_arm():
    async def scenario():
        champion, challenger = (scripted.lane(v, scripted.saying(1)) for v in "12")
        both, alone = scripted.live_route(champion, challenger), scripted.live_route(champion)
        assert both.lane(Arm.CHALLENGER) is challenger
        assert both.lane(Arm.CHAMPION) is champion
        assert alone.lane(Arm.CHALLENGER) is champion

    asyncio.run(scenario())
