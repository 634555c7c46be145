"""Experiments from the command line."""

from __future__ import annotations

import io

import msgspec
from rich.console import Console
from tests.cli.test_deployments import MODEL, Faces, call, two

from serinus.cli import experiments
from serinus.client.experiments import (
    Evaluation,
    ExperimentAdvice,
    ExperimentArm,
    ExperimentProgress,
    ExperimentSegment,
    ExperimentTest,
    Finding,
    Interval,
)

GAP = Interval(0.03, 0.01, 0.05)


def test_experiment_is_begun_looked_at_and_listed(faces: Faces) -> None:
    two(faces)
    dry = call(faces, "experiments", "start", MODEL, "1.1.0", "--sample", "5000", "--dry-run")
    assert dry.code == 0
    begun = call(
        faces, "experiments", "start", MODEL, "1.1.0", "--sample", "5000", "--split", "40%",
        "--json",
    ).json  # fmt: skip
    assert begun["plan"]["experiment"]["split"] == [0.4]
    # A model stands for its newest experiment.
    assert MODEL in call(faces, "experiments", "show", MODEL).out
    nobody = call(faces, "experiments", "evaluate", "nope")
    assert (nobody.code, "serinus experiments history" in nobody.err) == (2, True)
    shown = call(faces, "experiments", "evaluate", begun["id"]).out
    assert "Before the planned end: valid at every look" in shown
    assert "Go on: nothing is proven of any challenger yet." in shown
    assert begun["id"] in call(faces, "experiments", "list").out
    assert begun["id"] in call(faces, "experiments", "history").out
    refused = call(faces, "experiments", "promote-winner", begun["id"])
    assert refused.code == 2
    assert "no challenger is proven better" in refused.err


def test_power_says_how_many_units_are_needed(faces: Faces) -> None:
    told = call(faces, "experiments", "power", "0.02", "--rate", "0.1", "--json").json
    assert 7_000 < told["units"] < 8_000
    three = call(
        faces, "experiments", "power", "0.02", "--rate", "0.1", "--challengers", "3", "--json"
    ).json
    assert three["units"] > 2 * told["units"]
    assert (
        call(faces, "experiments", "power", "1", "--deviation", "5", "--json").json["units"] < 800
    )
    assert call(faces, "experiments", "power", "0.02").code == 2
    assert (
        call(
            faces, "experiments", "power", "1", "--deviation", "5", "--share", "10%", "--json"
        ).json
        == call(
            faces, "experiments", "power", "1", "--deviation", "5", "--share", "0.1", "--json"
        ).json
    )
    bare = call(faces, "experiments", "power", "1", "--deviation", "5", "--share", "10")
    assert (bare.code, "write 10% or 0.1" in bare.err) == (2, True)
    assert call(faces, "experiments", "power", "0.02", "--rate", "10%", "--json").json == told
    rate = call(faces, "experiments", "power", "0.02", "--rate", "10")
    assert (rate.code, "--rate: 10 is no share; write 10% or 0.1" in rate.err) == (2, True)


def test_start_of_what_is_refused_is_2_with_every_fault_and_dry_as_well(faces: Faces) -> None:
    two(faces)
    wrong = ("experiments", "start", MODEL, "1.1.0", "--split", "half", "--min-hours", "0")
    others = call(faces, "experiments", "start", MODEL, "1.1.0", "--others", "7.0.0, 8.0.0")
    assert all(f"no version '{one}'" in others.err for one in ("7.0.0", "8.0.0"))
    begun = call(faces, *wrong)
    dry = call(faces, "experiments", "start", MODEL, "1.1.0", "--dry-run")
    assert begun.code == 2
    assert "split: 'half' is no share; write such as 5% or 0.05" in begun.err
    assert "min_hours: must be above 0" in begun.err
    assert dry.code == 0
    call(faces, "experiments", "start", MODEL, "1.1.0")
    live = call(faces, "experiments", "start", MODEL, "1.1.0", "--dry-run")
    assert (live.code, "is live" in live.out) == (2, True)


def test_report_is_a_table_and_one_sentence() -> None:
    found = Evaluation(
        experiment="d1",
        model="fraud",
        view="at_the_end",
        title="At the planned end",
        validity="Asked once.",
        metric="revenue",
        unit="EUR",
        rises=True,
        counted_by="entity",
        confidence=0.95,
        progress=ExperimentProgress(100, 100, 1.0, 1.0, None, None, None),
        arms=(
            ExperimentArm("1.0.0", "champion", 0.5, 50, 90, None, 0, 1.0, 0.1),
            ExperimentArm("1.1.0", "challenger", 0.5, 50, 90, 0.9, 0, 1.03, 0.1),
        ),
        findings=(
            Finding(
                "1.1.0",
                "better",
                GAP,
                GAP,
                GAP,
                0.01,
                0.02,
                0.4,
                (ExperimentTest("Mann-Whitney U", 0.03, "common language", GAP),),
                (ExperimentSegment("age", "below 10", 20, GAP),),
            ),
        ),
        winner="1.1.0",
        significant=True,
        recommendation=ExperimentAdvice("promote", "1.1.0", "Promote: 1.1.0 is better."),
        notes=("Allocation was adaptive.",),
    )
    out = io.StringIO()
    experiments.show_evaluation(Console(file=out, width=140), found)
    told = out.getvalue()
    for part in (
        "fraud by revenue (EUR)",
        "+0.03 (+0.01 to +0.05)",
        "+3.0% (+1.0% to +5.0%)",
        "0.02",
        "Mann-Whitney U p = 0.03",
        "took 40% of the variance",
        "below 10",
        "90.0%",
    ):
        assert part in told
    assert told.rstrip().endswith("Promote: 1.1.0 is better.")

    wide = Interval(-0.008502, -0.03012, 0.01311)
    tight = msgspec.structs.replace(found.findings[0], difference=wide, relative=wide)
    narrow = io.StringIO()
    experiments.show_evaluation(
        Console(file=narrow, width=80), msgspec.structs.replace(found, findings=(tight,))
    )
    for number in ("-0.008502", "(-0.03012", "+0.01311)", "(-3.0%", "+1.3%)"):
        assert number in narrow.getvalue()
