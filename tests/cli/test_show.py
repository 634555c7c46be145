from __future__ import annotations

from datetime import UTC, datetime
from math import log

import msgspec
import pytest
from rich.console import Console, RenderableType

from serinus.cli import show
from serinus.client import foresight, types
from serinus.client.predictions import Prediction
from serinus.delivery.forecast.feasibility import propose
from serinus.delivery.forecast.types import Traffic
from serinus.delivery.planning.plan import Basis, quality_scale
from serinus.delivery.types import DeploymentSpec
from serinus.wire import Manifest


def text(item: RenderableType) -> str:
    console = Console(width=200, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as captured:
        console.print(item)
    return captured.get()


def test_table_shows_what_looks_like_markup_as_it_is() -> None:
    assert "[bold]x[/bold]" in text(show.table("", ("a",), [("[bold]x[/bold]",)]))


def test_table_never_breaks_an_id() -> None:
    name = "20261121-164230-123456-abcd"
    rows = [(name, "a_model_of_a_long_name", "1.0.0 → 1.1.0", "running", "shadow", "why " * 40)]
    console = Console(width=80, force_terminal=False)
    with console.capture() as captured:
        console.print(show.table("", ("deployment", "model", "versions", "x", "at", "why"), rows))
    assert name in captured.get()
    assert max(map(len, captured.get().splitlines())) <= 80


def test_lists_keep_states_whole_and_cut_reasons() -> None:
    name = "20261121-164230-123456-abcd"
    row = (name, "fraud", "1.0.0 → 1.1.0", "rolled_back", "all traffic", show.brief("why " * 40))
    heads = ("deployment", "model", "what", "phase", "at", "why")
    console = Console(width=80, force_terminal=False)
    with console.capture() as captured:
        console.print(show.table("", heads, [row]))
    line = captured.get().splitlines()[1]
    assert "rolled_back" in line
    assert "all traffic" in line
    assert line.rstrip().endswith("…")
    assert captured.get().count("why") < 6
    assert len(captured.get().splitlines()) <= 4


@pytest.mark.parametrize(("width", "across"), [(40, False), (80, False), (200, True)])
def test_rows_stand_below_each_other_where_no_table_fits(width: int, *, across: bool) -> None:
    columns = [f"column_{number}" for number in range(9)]
    cells = [[f"value-{row}-{number}" for number in range(9)] for row in range(2)]
    console = Console(width=width, force_terminal=False)
    with console.capture() as captured:
        console.print(show.rows(columns, cells, width))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    assert (len(lines) == 3) is across
    assert all(cell in captured.get() for row in cells for cell in row)
    assert "column" in captured.get()


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
    ("log_e", "expected"),
    [(log(40), "40"), (99.0, "over a million"), (-1.0, "0.368"), (log(1000), "1,000")],
)
def test_odds(log_e: float, expected: str) -> None:
    assert show.odds(log_e) == expected


def test_proposal_says_how_long_and_why_not() -> None:
    slow = Traffic(requests=1_000, seconds=86_400.0, error_rate=0.01)
    basis = Basis(quality_scale("classification", {"accuracy": 0.9}))
    spec = DeploymentSpec(model="m", challenger="2")
    inside = propose(spec, basis, slow, salt="")
    item = msgspec.convert(inside, foresight.Proposal, from_attributes=True)

    shown = text(show.proposal(item))

    for words in ("shadow quality", "errors x 50", "50 %", "Refused: step", "max_hours=", "0.010"):
        assert words in shown
    unknown = propose(spec, basis, None, salt="")
    assert "Refused" not in text(
        show.proposal(msgspec.convert(unknown, foresight.Proposal, from_attributes=True))
    )


def test_replay_says_what_differs() -> None:
    at = datetime(2026, 1, 31, tzinfo=UTC)
    exact = foresight.Replay("d", True, 3, 40, 5, "abc", True, ())
    assert "Exact: 5 verdicts from 40 events in 3 batches" in text(show.replay(exact))
    assert "older" not in text(show.replay(exact))
    partly = foresight.Replay("d", True, 3, 40, 5, "abc", True, (), 1_200)
    for words in ("Exact: 5 verdicts", "1,200 older verdicts cannot be computed again"):
        assert words in text(show.replay(partly))
    other = foresight.Mismatch(at, 2, "promote after 7: x", "continue after 7: y")
    wrong = foresight.Replay("d", False, 3, 40, 5, "abc", False, (other,))
    for words in ("Not exact", "stored evidence", "promote after 7", "continue after 7"):
        assert words in text(show.replay(wrong))


def test_whatif_sets_both_side_by_side() -> None:
    at = datetime(2026, 1, 31, tzinfo=UTC)
    item = foresight.WhatIf(
        "d", ("shadow", "50 %"), "rolled_back", at, 700, "bad",
        (foresight.Passed(0, at, 300),), "promote", at, 12_345, "good",
        (foresight.Passed(0, at, 400), foresight.Passed(1, at, 12_345)),
    )  # fmt: skip

    shown = text(show.whatif(item))

    assert shown.count("12,345") == 2
    for words in ("shadow passed after", "400", "300", "rolled back", "good", "bad"):
        assert words in shown
    assert "not asked" not in shown
    left = msgspec.structs.replace(item, skipped=4_321)
    assert "not asked after 4,321 of the batches" in text(show.whatif(left))
    soaked = msgspec.structs.replace(item, compared="They prove harm.")
    assert "They prove harm." in text(show.whatif(soaked))


def test_prediction_says_who_answered() -> None:
    one = Prediction(3.5, "1f" * 16, "fraud", "1.0.0", "champion", 7)
    failed = msgspec.structs.replace(one, fallback=True)
    default = msgspec.structs.replace(failed, version="")

    told = [show.prediction(item).split("\n")[1] for item in (one, failed, default)]

    assert [line.split(", revision")[0] for line in told] == [
        "fraud 1.0.0, champion",
        "fraud 1.0.0, champion (the champion stood in)",
        "fraud by its default, no version answered",
    ]
