from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serinus.data import ingest
from serinus.data.dataset import Dataset
from serinus.data.validation import Purpose, infer_task, prepare, validate
from serinus.errors import InvalidInput

ROWS = 60


def _good() -> pd.DataFrame:
    random = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "x": random.normal(size=ROWS),
            "y": random.normal(size=ROWS),
            "place": random.choice(["north", "south"], ROWS),
            "target": random.integers(0, 2, ROWS),
        }
    )


def _dataset(**columns: Any) -> Dataset:
    return ingest.from_frame(_good().assign(**columns), name="rows", source="rows")


def _some(value: Any, *rows: int, base: Callable[[int], Any] = float) -> list[Any]:
    return [value if row in rows else base(row * row) for row in range(ROWS)]


def test_validate_good_data_passes_without_a_finding() -> None:
    report, prepared = validate(_dataset(), Purpose(target="target"))

    assert report.findings == ()
    assert prepared is not None
    assert prepared.features == ("x", "y", "place")
    assert (prepared.task, prepared.classes) == ("classification", (0, 1))


ERRORS = {
    "missing target": ({}, Purpose(target="tarjet"), "target column 'tarjet'", "Did you mean"),
    "one class": ({"target": 1}, None, "target column 'target': there is only one class, 1", "two"),
    "constant number to predict": (
        {"target": 1.5},
        Purpose(target="target", task="regression"),
        "every value is 1.5",
        "different values",
    ),
    "text in a number column": (
        {"x": _some("oops", 3, 17)},
        None,
        "column 'x': text in a number column in rows 4, 18, such as 'oops'",
        "Correct these values",
    ),
    "infinite values": (
        {"x": _some(np.inf, 0, 9)},
        None,
        "column 'x': infinite values in rows 1, 10",
        "Correct these rows",
    ),
    "infinite target": (
        {"target": _some(-np.inf, 2)},
        None,
        "target column 'target': infinite values in row 3",
        "Correct",
    ),
    "text in a number target": (
        {"target": _some("n/a?", 5)},
        None,
        "target column 'target': text in a number column in row 6",
        "Correct",
    ),
    "target nowhere known": (
        {"target": None},
        None,
        "target column 'target': it is missing in every row, so that 0 rows are left",
        "target is known",
    ),
    "nothing left to learn from": (
        {"x": 1.0, "y": None, "place": "here"},
        None,
        "the columns: no column is left to learn from",
        "values differ",
    ),
    "a feature that is the target": (
        {"copy": _good()["target"].map({0: "no", 1: "yes"})},
        None,
        "column 'copy': it tells the target 'target' exactly",
        "exclude=copy",
    ),
    "lists": ({"x": [[1]] * ROWS}, None, "column 'x': values that are neither", "exclude"),
    "a class of one row": (
        {"target": ["a"] * 30 + ["b"] * 29 + ["c"]},
        None,
        "class 'c' has 1 row",
        "more rows",
    ),
    "names as target": (
        {"target": [f"name {row}" for row in range(ROWS)]},
        None,
        "there are 60 classes in 60 rows",
        "another target",
    ),
    "text to predict as a number": (
        {"target": ["a", "b"] * 30},
        Purpose(target="target", task="regression"),
        "regression predicts numbers",
        "task=classification",
    ),
    "unknown excluded column": (
        {},
        Purpose(target="target", exclude=("zzz",)),
        "excluded column 'zzz': there is no such column",
        "x, y, place, target",
    ),
    "unreadable times": (
        {"at": ["2026-01-01"] * 58 + ["soon", "later"]},
        Purpose(target="target", order_by="at"),
        "time column 'at': no time can be read in rows 59, 60",
        "Correct",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_validate_fault_names_place_and_remedy(case: str) -> None:
    columns, purpose, told, remedy = ERRORS[case]
    report, prepared = validate(_dataset(**columns), purpose or Purpose(target="target"))

    assert prepared is None
    assert not report.passed
    assert any(told in str(found) and remedy in found.remedy for found in report.errors), str(
        report
    )


WARNINGS = {
    "all-missing column": ({"y": None}, "column 'y': every value is missing", ("x", "place")),
    "constant column": ({"y": 2.5}, "column 'y': every value is '2.5'", ("x", "place")),
    "identifier": (
        {"id": [f"c-{row}" for row in range(ROWS)]},
        "column 'id': it looks like an identifier",
        ("x", "y", "place"),
    ),
    "row counter": (
        {"row": range(ROWS)},
        "column 'row': it only counts the rows",
        ("x", "y", "place"),
    ),
    "times": (
        {"at": pd.date_range("2026-01-01", periods=ROWS)},
        "column 'at': times are no inputs",
        ("x", "y", "place"),
    ),
    "mostly missing": (
        {"y": [1.0, 2.0, 3.0] + [None] * (ROWS - 3)},
        "column 'y': 95% of the values are missing",
        ("x", "y", "place"),
    ),
    "rare class": (
        {"target": ["a"] * 58 + ["b"] * 2},
        "class 'b' is rare: 2 of 60 rows",
        ("x", "y", "place"),
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_validate_oddity_warns_and_goes_on(case: str) -> None:
    columns, told, features = WARNINGS[case]
    report, prepared = validate(_dataset(**columns), Purpose(target="target"))

    assert report.passed
    assert [found for found in report.warnings if told in str(found)], str(report)
    assert prepared is not None
    assert prepared.features == features


def test_validate_rows_without_target_are_dropped_with_a_warning() -> None:
    target = _some(None, 4, 8, base=lambda value: float(value % 2))

    report, prepared = validate(_dataset(target=target), Purpose(target="target"))

    assert "missing in rows 5, 9" in str(report.warnings[0])
    assert prepared is not None
    assert len(prepared.frame) == ROWS - 2
    assert prepared.classes == (0, 1)
    assert all(type(label) is int for label in prepared.classes)


def test_validate_row_numbers_are_those_of_the_file() -> None:
    target = _some(None, 0, 1, base=lambda value: value % 2)
    report, _ = validate(_dataset(target=target, x=_some(np.inf, 7)), Purpose(target="target"))

    assert "infinite values in row 8" in str(report.errors[0])


def test_validate_empty_frame() -> None:
    dataset = ingest.from_frame(_good().head(0), name="rows", source="rows")
    report, _ = validate(dataset, Purpose(target="target"))

    assert "the rows: there are none" in str(report)


def test_validate_repeated_rows_warn() -> None:
    twice = ingest.from_frame(pd.concat([_good(), _good()]), name="rows", source="rows")
    report, _ = validate(twice, Purpose(target="target"))

    assert "60 of 120 repeat an earlier row" in str(report.warnings[0])


def test_validate_continuous_columns_are_no_leak() -> None:
    random = np.random.default_rng(0)
    dataset = _dataset(target=random.normal(size=ROWS))
    report, prepared = validate(dataset, Purpose(target="target"))

    assert report.passed, str(report)
    assert prepared is not None
    assert prepared.task == "regression"


def test_validate_continuous_copy_of_the_target_is_a_leak() -> None:
    values = np.random.default_rng(0).normal(size=ROWS)
    report, _ = validate(_dataset(target=values, copy=values), Purpose(target="target"))

    assert "column 'copy': it tells the target" in str(report.errors[0])


def test_validate_pinned_features_are_kept_however_dull() -> None:
    purpose = Purpose(target="target", features=("x", "y", "place"))
    report, prepared = validate(_dataset(y=1.0, extra=3), purpose)

    assert report.passed
    assert prepared is not None
    assert prepared.features == ("x", "y", "place")


def test_validate_pinned_feature_that_is_nowhere_known_is_an_error() -> None:
    purpose = Purpose(target="target", features=("x", "y", "place"))
    report, _ = validate(_dataset(y=None), purpose)

    assert "column 'y': every value is missing" in str(report.errors[0])


def test_prepare_lists_all_faults_at_once_and_changes_nothing() -> None:
    frame = _good().assign(target=1, x=_some(np.inf, 3), y=_some("?", 4))
    dataset = ingest.from_frame(frame, name="rows", source="rows.csv")
    before = dataset.frame.copy()

    with pytest.raises(InvalidInput) as caught:
        prepare(dataset, Purpose(target="target", exclude=("zzz",)))

    assert len(caught.value.faults) == 4
    assert caught.value.where == "rows.csv"
    assert caught.value.exit_code == 2
    pd.testing.assert_frame_equal(dataset.frame, before)


def test_report_is_plain_json() -> None:
    report, _ = validate(_dataset(target=1), Purpose(target="target"))
    document = json.loads(json.dumps(report.to_dict()))

    assert document["passed"] is False
    assert document["findings"][0]["level"] == "error"
    assert set(document["findings"][0]) == {"level", "place", "what", "remedy"}


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([0, 1, 1], "classification"),
        (list(range(21)), "regression"),
        ([0.5, 1.5], "regression"),
        ([True, False], "classification"),
        (["a", "b"], "classification"),
    ],
)
def test_infer_task(values: list[Any], task: str) -> None:
    assert infer_task(pd.Series(values)) == task


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (["no", "yes"] * 30, ("no", "yes")),
        ([True, False] * 30, (False, True)),
        ([3, 7] * 30, (3, 7)),
        ([3.0, 7.0] * 30, (3, 7)),
    ],
)
def test_validate_labels_keep_their_type(target: list[Any], classes: tuple[Any, ...]) -> None:
    _, prepared = validate(_dataset(target=target), Purpose(target="target"))

    assert prepared is not None
    assert prepared.classes == classes
    assert [type(label) for label in prepared.classes] == [type(label) for label in classes]
