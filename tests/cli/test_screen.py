"""What a person must see of a deployment, in any width."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from tests.cli.documents import IDENTITY, NOW, deployment, drawn, rail, status

from serinus.cli import bars
from serinus.cli.screen import Sight, line, screen
from serinus.client.foresight import Duration, Forecast, StepForecast
from serinus.client.types import DeploymentStatus, Experiment, Verdict


def text(item: DeploymentStatus, width: int = 80, **given: object) -> str:
    sight = Sight(item, NOW, width, **given)  # type: ignore[arg-type]
    return "\n".join(drawn(screen(sight), width))


@pytest.mark.parametrize("width", [60, 80, 120, 240])
def test_everything_is_on_the_screen_and_fits(width: int) -> None:
    shown = text(status(retries=2), width)
    told = " ".join(shown.split())
    for words in (
        "fraud", "1.0.0 → 1.1.0", "canary", "running at 25 %", "asked for by ann", "2 h 13 min",
        "begun again twice", IDENTITY, "✓ shadow", "▶ 25 %", "50 %", "all traffic",
        "25 % to 1.1.0", "12,345", "8.1/s", "3 0.07%", "1,011", "errors", "latency", "safe",
        "22/40", "about 4 min", "1,200 more requests", "Errors are undecided", "by controller",
        "1 of 2 workers ready, revision 17", "1 still at an older one",
        "circuit open for fraud@1.1.0 at w1", "w2 could not load fraud@1.1.0: no such file",
        "1.0.1 → 1.0.0 not the model (errors)", "1 more guardrail has seen nothing",
    ):  # fmt: skip
        assert words in told, words
    assert max(map(len, shown.splitlines())) <= width


@pytest.mark.parametrize("width", [20, 40])
def test_very_narrow_terminals_see_where_it_is(width: int) -> None:
    shown = text(status(), width)
    assert "▶ 25 %" in shown
    assert "running" in shown


def test_low_terminals_see_less_but_the_evidence() -> None:
    high, low = text(status()), text(status(), height=24)
    assert len(low.splitlines()) < len(high.splitlines())
    for words in ("errors", "22/40", "▶ 25 %", "about 4 min"):
        assert words in low


def test_terminals_without_unicode_see_bars_too() -> None:
    shown = text(status(), marks=bars.PLAIN)
    assert shown.isascii()
    assert "> 25 %" in shown
    assert "####" in shown


def test_bars_fill_with_the_evidence() -> None:
    lengths = []
    for odds in (1.0, 2.0, 3.0):
        verdict = Verdict("continue", "", 9, 0.05, (rail("errors", "open", 0.0, odds),))
        row = next(
            row for row in text(status(verdict=verdict)).splitlines() if row.startswith("evidence")
        )
        body = text(status(verdict=verdict)).splitlines()
        row = body[body.index(row) + 1]
        lengths.append(row.count("━"))
    assert lengths == sorted(set(lengths))


def test_later_steps_are_foretold_at_the_present_rate() -> None:
    steps = tuple(
        StepForecast(number, name, Duration(requests, requests), "errors", None, None, None)
        for number, (name, requests) in enumerate(
            (("shadow", 9.0), ("5 %", 9.0), ("25 %", 9.0), ("50 %", 6_480.0))
        )
    )
    forecast = Forecast(None, 200, steps, Duration(1.0, 1.0), (), ())
    told = " ".join(text(status(), forecast=forecast).split())
    assert "Then 50 %: about 10 min, if the versions are equal." in told
    counts = msgspec.structs.replace(status().counts, rates={})
    told = " ".join(text(status(counts=counts), forecast=forecast).split())
    assert "Then 50 %: 6,480 requests" in told


def test_soak_shows_all_traffic_and_how_long_it_lasts() -> None:
    ahead = msgspec.structs.replace(
        status().ahead, waits_for="soak", seconds=None, until=NOW + timedelta(seconds=300),
        sentence="The former champion stays warm.",
    )  # fmt: skip
    counts = msgspec.structs.replace(status().counts, share=1.0)
    soaking = deployment(phase="soaking", step=4)
    shown = text(status(deployment=soaking, ahead=ahead, counts=counts))
    assert "100 % to 1.1.0" in shown
    assert "about 5 min: The former champion stays warm." in shown


def test_deployment_that_ended_says_how() -> None:
    ended = deployment(phase="rolled_back", ended_at=NOW, reason="Errors: proof of harm.")
    shown = text(status(deployment=ended, ahead=None, counts=status().counts))
    assert "rolled back at 25 %" in shown
    assert "took 2 h 13 min" in shown
    assert "proof of harm" in shown


def test_a_plan_that_was_to_find_out_gives_nobody_traffic() -> None:
    item = deployment(phase="succeeded", step=0, verdict="promote", ended_at=NOW)
    plan = msgspec.structs.replace(item.plan, steps=item.plan.steps[:1], promotes=False)
    watched = msgspec.structs.replace(item, plan=plan, strategy="shadow")
    counts = msgspec.structs.replace(status().counts, share=0.0)
    shown = text(status(deployment=watched, counts=counts, ahead=None))
    assert "succeeded at shadow" in shown
    assert "✓ shadow" in shown
    assert "0 % to 1.1.0" in shown
    assert "all traffic" not in shown.split("latest")[0]


def test_every_challenger_of_an_experiment_is_on_the_screen() -> None:
    test = Experiment(("1.1.0", "1.2.0"), (1 / 3, 1 / 3), "accuracy", 1, 2, 0.95, "", "fixed")
    item = deployment(step=0, strategy="ab_test")
    plan = msgspec.structs.replace(item.plan, steps=item.plan.steps[1:2], experiment=test)
    shares = {"1.0.0": 2 / 3, "1.1.0": 1 / 3, "1.2.0": 0.0}
    counts = msgspec.structs.replace(status().counts, share=1 / 3, shares=shares)
    compared = msgspec.structs.replace(item, plan=plan)
    why = "Errors: proof of harm."
    shown = text(status(deployment=compared, counts=counts, dropped={"1.2.0": why}))
    for words in (
        "1.0.0 → 1.1.0, 1.2.0", "▶ 33.3 % + 33.3 %", "33.3 % to 1.1.0", " 0 % to 1.2.0",
        f"1.2.0 was dropped: {why}",
    ):  # fmt: skip
        assert words in shown, words


def test_first_version_has_nobody_to_be_compared_with() -> None:
    first = deployment(champion=None)
    alone = msgspec.structs.replace(
        first, plan=msgspec.structs.replace(first.plan, steps=()), step=0
    )
    shown = text(status(deployment=alone, verdict=None))
    assert "none → 1.1.0" in shown
    assert "no champion to compare with" in shown


def test_away_is_said_below() -> None:
    assert text(status(), away="No word from the control plane.").endswith("control plane.")


def test_line_says_where_and_why() -> None:
    assert line(status()) == "running at 25 %: Errors are undecided at 22 to 1."
    ended = deployment(phase="aborted", ended_at=NOW, reason="enough")
    assert line(status(deployment=ended)) == "aborted at 25 %: enough"


def test_what_is_no_terminal_gets_every_reason_in_one_line() -> None:
    reason = " ".join(f"reason{n}" for n in range(200))
    verdict = Verdict("continue", reason, 9, 0.05, (rail("errors", "open", 0.0, 1.0),))

    shown = text(status(verdict=verdict), 100_000)

    assert reason in shown
    assert all(len(line) < len(reason) + 50 for line in shown.splitlines())
