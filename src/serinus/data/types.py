"""The words for data: what a column holds, what is predicted, and what checking found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from serinus.errors import InvalidInput

Kind: TypeAlias = Literal["number", "boolean", "text", "time", "unusable"]
"""What a column holds. ``unusable`` is lists, bytes and whatever else no model here reads."""

Task: TypeAlias = Literal["classification", "regression"]
"""What is asked of a model: a class, or a number."""


@dataclass(frozen=True)
class Finding:
    """One fact about a dataset: an error stops the training, a warning does not.

    Args:
        level: ``error`` or ``warning``.
        place: where: a column, rows, or the file.
        what: the fact.
        remedy: what to do about it, or what was done.
    """

    level: Literal["error", "warning"]
    place: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}. {self.remedy}"


@dataclass(frozen=True)
class ValidationReport:
    """Everything that checking one dataset found, errors first."""

    source: str
    rows: int
    columns: int
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing found forbids to go on."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that forbid to go on."""
        return tuple(found for found in self.findings if found.level == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that do not."""
        return tuple(found for found in self.findings if found.level == "warning")

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON."""
        return {
            "passed": self.passed,
            "source": self.source,
            "rows": self.rows,
            "columns": self.columns,
            "findings": [
                {"level": f.level, "place": f.place, "what": f.what, "remedy": f.remedy}
                for f in self.findings
            ],
        }

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "failed"
        head = f"{self.source}: {self.rows} rows, {self.columns} columns: {verdict}"
        return "\n".join([head, *(f"  {f.level}: {f}" for f in self.findings)])

    def require_passed(self) -> None:
        """Do nothing if the dataset can be used.

        Raises:
            InvalidInput: listing every error at once.
        """
        if not self.passed:
            raise InvalidInput(
                f"the data cannot be used: {len(self.errors)} "
                + ("fault" if len(self.errors) == 1 else "faults"),
                where=self.source,
                remedy="Correct these and try again; nothing was changed.",
                faults=[str(found) for found in self.errors],
            )
