"""The fallback alone: for a time a model's fallback answers everything, and no version is asked.

For an operator who knows that every version is wrong just now, and does not want to wait until
breakers find that out, or never: a wrong answer is no failure. It always ends by itself, in the
gateways, whatever becomes of the control plane.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from serinus import clock
from serinus.delivery import turns
from serinus.delivery.rollback import repository
from serinus.delivery.rollback.handover import Moves
from serinus.delivery.rollback.types import Fallback
from serinus.errors import Conflict, InvalidInput

LONGEST = timedelta(hours=24)


def begin(
    delivery: Moves, model: str, lasting: timedelta, *, actor: str, reason: str = ""
) -> Fallback:
    """Have a model's fallback answer everything for a time; asked again, the time begins anew.

    Raises:
        NotFound: there is no such model.
        Conflict: the model has no fallback.
        InvalidInput: the time is none, or longer than a day.
    """
    if not timedelta(0) < lasting <= LONGEST:
        raise InvalidInput(
            "the time must be above 0 and at most 1,440 minutes",
            where="minutes",
            remedy="Ask again when it is nearly over; or take the model back: serinus rollback.",
        )
    delivery.registry.versions(model, 1)
    until = clock.now() + lasting
    with turns.turn(delivery.engine) as connection:
        known = repository.fallback(connection, model)
        if known is None:
            raise Conflict(
                f"{model} has no fallback",
                where="model",
                remedy=f"Set one first: serinus fallback set {model} VALUE.",
            )
        why = reason or f"By hand, by {actor}."
        made = msgspec.structs.replace(
            known, actor=actor, reason=why, at=clock.now(), alone_until=until
        )
        repository.set_fallback(connection, made)
        told = f"only the fallback of {model} answers until {until:%Y-%m-%d %H:%M} UTC, by {actor}"
        table = delivery.tables.revise(connection, f"{told}: {why}")
    delivery.tables.bring(table)
    return made


def end(delivery: Moves, model: str, *, actor: str, reason: str = "") -> Fallback | None:
    """Have a model's versions asked again; idempotent.

    Returns:
        The fallback, which stays for what no version can answer; None if there is none.

    Raises:
        NotFound: there is no such model.
    """
    delivery.registry.versions(model, 1)
    with turns.turn(delivery.engine) as connection:
        known = repository.fallback(connection, model)
        if known is None or known.alone_until is None:
            return known
        why = reason or f"By hand, by {actor}."
        made = msgspec.structs.replace(
            known, actor=actor, reason=why, at=clock.now(), alone_until=None
        )
        repository.ask_again(connection, model, known)
        repository.set_fallback(connection, made)
        told = f"the versions of {model} are asked again, by {actor}"
        table = delivery.tables.revise(connection, f"{told}: {why}")
    delivery.tables.bring(table)
    return made
