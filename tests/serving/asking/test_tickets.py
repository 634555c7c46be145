from serinus.errors import DeadlinePassed, Unavailable
from serinus.serving.asking.tickets import Ticket, Tickets


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


def test_tickets_end_by_the_client_or_the_gateway_whoever_waits_less_long():
    told = {}
    tickets = Tickets(0.0)
    for name, seconds in (("its own", -1.0), ("none", None), ("longer", 60.0)):
        tickets.issue(1, lambda error, name=name: told.update({name: type(error)}), seconds)
    tickets.expire()
    assert told == {"its own": DeadlinePassed, "none": Unavailable, "longer": Unavailable}


def test_tickets_of_requests_in_time_stay_until_they_are_settled():
    told = []
    tickets = Tickets(60.0)
    first = tickets.issue(1, told.append, None)
    second = tickets.issue(1, told.append, 30.0)
    assert 29.0 < first.deadline - second.deadline < 31.0
    tickets.expire()
    assert told == []
    first.settle()
    tickets.expire()
    assert (told, second.is_over) == ([None], False)
