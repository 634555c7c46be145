"""One root for every error Serinus raises: what was wrong, where, and what to do about it.

Faces translate an error exactly once: the HTTP faces through :meth:`SerinusError.problem`
and ``status``, the command line through ``str(error)`` and ``exit_code``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class SerinusError(Exception):
    """Something went wrong inside Serinus; report it with the log lines around it.

    Args:
        what: the fact, in one sentence without a full stop at its end being required.
        where: the place (a column, a field, a file, a version), empty if there is none.
        remedy: what the reader can do about it, as an imperative sentence.
        faults: every single fault, when one answer lists many.
    """

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    title: ClassVar[str] = "Internal error"

    def __init__(
        self, what: str, *, where: str = "", remedy: str = "", faults: Sequence[str] = ()
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy
        self.faults = tuple(faults)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        for fault in self.faults:
            text += f"\n  - {fault}"
        return f"{text}\n{self.remedy}" if self.remedy else text

    def problem(self) -> dict[str, object]:
        """The error as an RFC 9457 problem document (``application/problem+json``)."""
        document: dict[str, object] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.what,
        }
        if self.where:
            document["where"] = self.where
        if self.remedy:
            document["remedy"] = self.remedy
        if self.faults:
            document["faults"] = list(self.faults)
        return document


class InvalidInput(SerinusError):
    """What was given cannot be used as it is; nothing was changed."""

    status = 422
    exit_code = 2
    title = "Invalid input"


class UnsupportedForm(InvalidInput):
    """A body was sent in a form that is not read here; nothing was changed."""

    status = 415
    title = "Unsupported media type"


class Forbidden(InvalidInput):
    """The request comes from where none is taken; nothing was changed."""

    status = 403
    title = "Forbidden"


class Misdirected(InvalidInput):
    """The request asks for a host that is not this one; nothing was changed."""

    status = 421
    title = "Misdirected request"


class NotFound(SerinusError):
    """The thing that was named does not exist; nothing was changed."""

    status = 404
    exit_code = 2
    title = "Not found"


class Conflict(SerinusError):
    """The request contradicts the present state; nothing was changed."""

    status = 409
    exit_code = 2
    title = "Conflict"


class Unavailable(SerinusError):
    """A part that is needed is not reachable or not ready; trying again later may help."""

    status = 503
    exit_code = 1
    title = "Unavailable"


class DeadlinePassed(SerinusError):
    """The answer was not there within the time that the client itself had set."""

    status = 408
    exit_code = 1
    title = "Deadline passed"


class Overloaded(SerinusError):
    """More was asked than can be answered in time; nothing was done. Slow down and try again.

    Args:
        retry_after: when to try again, in whole seconds.
    """

    status = 429
    exit_code = 1
    title = "Too many requests"

    def __init__(
        self, what: str, *, where: str = "", remedy: str = "", retry_after: int = 1
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.retry_after = retry_after
