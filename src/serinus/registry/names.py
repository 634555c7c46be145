"""Which names a model may have, and whoever changes something."""

from __future__ import annotations

import re

from serinus.errors import InvalidInput

LONGEST_ACTOR = 200
"""Characters; what the store keeps of a name."""
_ALLOWED = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def check(name: str) -> str:
    """The name itself, if it may be a model's: it becomes part of addresses and folders.

    Raises:
        InvalidInput: it is empty, too long, has other characters, or reads as a path.
    """
    if not _ALLOWED.fullmatch(name):
        reason = "a name is 1 to 100 letters, digits, and the signs _ . -"
        if "/" in name or "\\" in name:
            reason = "it reads as a path, and " + reason
        raise _refused(name, reason)
    if name.startswith((".", "-")):
        raise _refused(name, "it begins with a dot or a dash, as paths and options do")
    return name


def check_actor(actor: str) -> str:
    """The actor itself, if every history can keep it.

    Raises:
        InvalidInput: it is too long.
    """
    if len(actor) > LONGEST_ACTOR:
        raise InvalidInput(
            "who asks is told too long",
            where="actor",
            faults=[f"actor: has {len(actor):,} characters, may have {LONGEST_ACTOR}"],
            remedy="Give a name, and put the rest into the reason.",
        )
    return actor


def _refused(name: str, reason: str) -> InvalidInput:
    return InvalidInput(
        f"the model name {name[:120]!r} cannot be used: {reason}",
        where="model",
        remedy="Give a name such as fraud or credit-risk_2.",
    )
