"""What HTTP itself has a status for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from serinus.serving.protocols import answers


class Refused(NamedTuple):
    """The parts of an answer that says no, in the form of some protocol."""

    status: int
    body: bytes
    kind: bytes
    headers: tuple[tuple[bytes, bytes], ...]


class Refusal(Exception):
    """A request that is refused with a status of HTTP.

    Args:
        status: of the answer.
        detail: what was wrong.
        remedy: what to do about it.
        headers: further ones, as ``Allow`` or ``Retry-After``.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        remedy: str = "",
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.remedy = remedy
        self.body = answers.encode(answers.problem(status, detail, remedy=remedy))
        self.headers = tuple(headers)
