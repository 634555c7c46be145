"""Somebody's own code around a prediction: before it is read, and before its answer leaves.

A module that can be imported where the gateway runs, with ``before(model, features)`` and
``after(model, answer)``, or either. Both take and return a dictionary. They run in the event loop
for each row of ``/predict`` and ``/predict/batch``, so they must be quick. The ledger holds what
the model was asked and what it said: a hook changes neither evidence nor drift.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from serinus.errors import InvalidInput, Unavailable

Hook: TypeAlias = Callable[[str, dict[str, Any]], dict[str, Any]]

_log = logging.getLogger("serinus.serving")


class Hooks:
    """The hooks of a module.

    Args:
        module: its name.

    Raises:
        InvalidInput: it cannot be imported, or has neither hook.
    """

    def __init__(self, module: str) -> None:
        try:
            found = importlib.import_module(module)
        except Exception as error:
            raise InvalidInput(
                f"the module of the hooks cannot be imported ({type(error).__name__}: {error})",
                where=f"hooks = {module}",
                remedy="Name a module that can be imported where the gateway runs.",
            ) from error
        self._before: Hook | None = getattr(found, "before", None)
        self._after: Hook | None = getattr(found, "after", None)
        if not (callable(self._before) or callable(self._after)):
            raise InvalidInput(
                "the module has neither before(model, features) nor after(model, answer)",
                where=f"hooks = {module}",
                remedy="Write one of them, or leave the setting empty.",
            )

    def before(self, model: str, body: bytes, place: str | None = None) -> bytes:
        """A body whose features went through the hook; one that has none stays as it is.

        Args:
            model: that is asked.
            body: of the request.
            place: the field that holds several rows; None if the body is one row.

        Raises:
            InvalidInput: the hook raised a ValueError: it will not have these features.
            Unavailable: the hook failed in any other way.
        """
        if self._before is None:
            return body
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return body  # The decoder says what is wrong with it.
        if not isinstance(document, dict):
            return body
        rows = [document] if place is None else document.get(place)
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and isinstance(row.get("features"), dict):
                row["features"] = _called(self._before, "before", model, row["features"])
        return msgspec.json.encode(document)

    def after(self, model: str, answer: msgspec.Struct) -> object:
        """An answer as the hook leaves it.

        Raises:
            InvalidInput: the hook raised a ValueError.
            Unavailable: the hook failed in any other way.
        """
        if self._after is None:
            return answer
        return _called(self._after, "after", model, msgspec.to_builtins(answer))


def _called(hook: Hook, name: str, model: str, given: dict[str, Any]) -> dict[str, Any]:
    try:
        made = hook(model, given)
        msgspec.json.encode(made)
    except ValueError as error:
        raise InvalidInput(f"the hook refuses this ({error})", where=name) from error
    except Exception as error:
        _log.exception("the hook %s failed", name)
        raise Unavailable(
            f"the hook failed ({type(error).__name__})", where=name, remedy="See the gateway's log."
        ) from error
    if not isinstance(made, dict):
        raise Unavailable("the hook returned no dictionary", where=name, remedy="Mend the hook.")
    return made
