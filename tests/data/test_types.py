from __future__ import annotations

import pytest

from serinus.data.types import Finding, ValidationReport
from serinus.errors import InvalidInput

ERROR = Finding("error", "column 'x'", "infinite values in row 1", "Correct it.")
WARNING = Finding("warning", "column 'y'", "every value is '1'", "It is not used.")


def test_report_reads_as_sentences() -> None:
    report = ValidationReport("rows.csv", 10, 3, (ERROR, WARNING))

    assert str(report) == (
        "rows.csv: 10 rows, 3 columns: failed\n"
        "  error: column 'x': infinite values in row 1. Correct it.\n"
        "  warning: column 'y': every value is '1'. It is not used."
    )


def test_report_with_warnings_only_passes() -> None:
    report = ValidationReport("rows.csv", 10, 3, (WARNING,))
    report.require_passed()

    assert report.passed
    assert report.to_dict()["passed"] is True


def test_report_with_an_error_is_refused_with_every_fault() -> None:
    with pytest.raises(InvalidInput, match="2 faults") as caught:
        ValidationReport("rows.csv", 10, 3, (ERROR, WARNING, ERROR)).require_passed()

    assert caught.value.faults == (str(ERROR), str(ERROR))
