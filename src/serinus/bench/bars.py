"""What a figure has to be, and whether it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class _Limits:
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""
    note: str = ""


@dataclass(frozen=True)
class Bar(_Limits):
    """A figure beside its limit.

    Args:
        name: what was measured.
        measured: None if it was not, for a reason that ``note`` tells.
        at_least: the limit of what should be much.
        at_most: the limit of what should be little.
        unit: of the figure and its limit.
        note: what a reader must know to judge it.
    """

    name: str
    measured: float | None

    @property
    def holds(self) -> bool | None:
        """Whether the figure is within its limits; None if nothing was measured."""
        if self.measured is None:
            return None
        if self.at_least is not None and not self.measured >= self.at_least:
            return False
        return self.at_most is None or self.measured <= self.at_most

    def row(self) -> tuple[str, ...]:
        """The bar as cells of text."""
        limits = [
            f"{sign} {_number(limit)} {self.unit}".strip()
            for sign, limit in (("≥", self.at_least), ("≤", self.at_most))
            if limit is not None
        ]
        measured = "" if self.measured is None else f"{_number(self.measured)} {self.unit}".strip()
        verdict = {True: "holds", False: "missed", None: "not measured"}[self.holds]
        return (self.name, measured, ", ".join(limits), verdict, self.note)

    def as_dict(self) -> dict[str, Any]:
        """The bar as plain JSON, with whether it holds."""
        return {"name": self.name, "holds": self.holds, **asdict(self)}


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"
