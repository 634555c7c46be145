"""The default alone: for a time a model's default answers everything, and no version is asked.

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
from serinus.delivery.rollback.types import DefaultAnswer
from serinus.errors import Conflict, InvalidInput, NotFound

LONGEST = timedelta(hours=24)


def begin(
    delivery: Moves, model: str, lasting: timedelta, *, actor: str, reason: str = ""
) -> DefaultAnswer:
    """Have a model's default answer everything for a time; asked again, the time begins anew.

    Raises:
        NotFound: there is no such model.
        Conflict: the model has no default.
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
        known = repository.default(connection, model)
        if known is None:
            raise Conflict(
                f"{model} has no default",
                where="model",
                remedy=f"Set one first: serinus default set {model} VALUE.",
            )
        why = reason or f"By hand, by {actor}."
        made = msgspec.structs.replace(
            known, actor=actor, reason=why, at=clock.now(), alone_until=until
        )
        repository.set_default(connection, made)
        told = f"only the default of {model} answers until {until:%Y-%m-%d %H:%M} UTC, by {actor}"
        table = delivery.tables.revise(connection, f"{told}: {why}")
    delivery.tables.bring(table)
    return made


def end(delivery: Moves, model: str, *, actor: str, reason: str = "") -> DefaultAnswer:
    """Have a model's versions asked again; idempotent.

    Returns:
        The default, which stays for what no version can answer.

    Raises:
        NotFound: there is no such model, or it has no default.
    """
    delivery.registry.versions(model, 1)
    with turns.turn(delivery.engine) as connection:
        known = repository.default(connection, model)
        if known is None:
            raise NotFound(
                f"{model} has no default",
                where="model",
                remedy="Its versions are asked; there is nothing to end.",
            )
        if known.alone_until is None:
            return known
        why = reason or f"By hand, by {actor}."
        made = msgspec.structs.replace(
            known, actor=actor, reason=why, at=clock.now(), alone_until=None
        )
        repository.ask_again(connection, model, known)
        repository.set_default(connection, made)
        told = f"the versions of {model} are asked again, by {actor}"
        table = delivery.tables.revise(connection, f"{told}: {why}")
    delivery.tables.bring(table)
    return made
