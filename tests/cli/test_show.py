from __future__ import annotations

from datetime import UTC, datetime
from math import log

import pytest
from rich.console import Console, RenderableType

from serinus.cli import show
from serinus.client import types
from serinus.wire import Manifest


def text(item: RenderableType) -> str:
    console = Console(width=200, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as captured:
        console.print(item)
    return captured.get()


def test_table_shows_what_looks_like_markup_as_it_is() -> None:
    assert "[bold]x[/bold]" in text(show.table("", ("a",), [("[bold]x[/bold]",)]))


def test_versions_choose_the_telling_metrics() -> None:
    manifest = Manifest("m", "classification", (), "y")
    version = types.Version(
        "m", "1.0.0", "None", "", "", "", "c", "classification", "", None, manifest,
        {"roc_auc": 0.91234, "brier": None}, {}, {}, {},
        (types.GateResult("size", False, "too big"),), datetime(2026, 1, 31, tzinfo=UTC),
    )  # fmt: skip

    shown = text(show.versions([version]))

    assert "0.9123" in shown
    assert "brier" not in shown
    assert "failed: size" in shown


def test_comparison_names_what_breaks_callers() -> None:
    manifest = Manifest("m", "classification", (), "y")
    first = types.Version(
        "m", "1.0.0", "None", "", "", "", "c", "classification", "", None, manifest,
        {}, {}, {}, {}, (), datetime(2026, 1, 31, tzinfo=UTC),
    )  # fmt: skip
    item = types.Comparison(first, first, {"a": (1.0, None)}, {}, True, ("input 'x' is gone",))

    shown = text(show.comparison(item))

    assert "Breaks callers: input 'x' is gone" in shown
    assert "Trained on the same data." in shown


@pytest.mark.parametrize(
    ("log_e", "expected"), [(log(40), "40"), (99.0, "over a million"), (-1.0, "0.368")]
)
def test_odds(log_e: float, expected: str) -> None:
    assert show._odds(log_e) == expected
