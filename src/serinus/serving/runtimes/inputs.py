"""What a request may hold while two versions of a model serve side by side. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from serinus.errors import InvalidInput
from serinus.wire import Field


def union(champion: Sequence[Field], challenger: Sequence[Field]) -> tuple[Field, ...]:
    """The champion's inputs, then those that only the challenger takes, none of these required.

    Raises:
        InvalidInput: an input is of one type here and of another there.
    """
    known = {field.name: field for field in champion}
    for field in challenger:
        if (twin := known.get(field.name)) is not None and twin.type != field.type:
            raise InvalidInput(
                f"the challenger takes it as {field.type}, the champion as {twin.type}",
                where=field.name,
                remedy="Register a version whose inputs have the champion's types.",
            )
    added = [field for field in challenger if field.name not in known]
    return (*champion, *(msgspec.structs.replace(field, required=False) for field in added))


def projection(all_inputs: Sequence[Field], own: Sequence[Field]) -> tuple[int, ...] | None:
    """Which of ``all_inputs`` a version takes, in its order; None if all of them as they are."""
    places = {field.name: index for index, field in enumerate(all_inputs)}
    chosen = tuple(places[field.name] for field in own)
    return None if chosen == tuple(range(len(all_inputs))) else chosen
