"""``serinus chaos rollout``: the control plane is killed at every write, and nobody can tell."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from serinus import clock
from serinus.chaos import commands, exact, living, record
from serinus.chaos.commands import Walked
from serinus.chaos.databases import Kind
from serinus.chaos.exact import Outcome
from serinus.chaos.living import Life
from serinus.proof.types import Bar
from serinus.stress.types import Finding, at_least, at_most

STATEMENT = (
    "Whenever the control process is killed, the next one goes on where it was: the same verdict, "
    "evidence and steps as without, no request dropped, and back at work within three seconds."
)
DIFFERENCES = "runs that differ from the undisturbed one"
IMPOSSIBLE = "steps skipped or repeated"
UNEXACT = "deployments whose replay is not exact"
KILLS = "kills at a write, in lock-step"
COMMANDS = "commands whose effect is not that of one undisturbed call"
COMMAND_KILLS = "kills at a write of a command"
LIVE_KILLS = "kills amid a transition, live"
DROPPED = "requests dropped"
RESUME = "slowest return, from the kill to the next fold or decision"
RESUME_SECONDS = 3.0


def run(
    *,
    kinds: Sequence[Kind],
    kills: int = 30,
    rate: float = 500.0,
    one_in: int = 1,
    seed: int = 0,
    progress: Callable[[str], None] = lambda words: None,
) -> Finding:
    """In lock-step at every write, at every write of people's commands, and live amid transitions.

    Args:
        kinds: databases in lock-step; the live half is on SQLite.
        kills: of the live half; 0 leaves it out.
        rate: requests a second in the live half.
        one_in: the part of all writes at which it is killed in lock-step; 1 is at every one.
        seed: of the traffic, and of where it strikes.
        progress: is told what was done.

    Raises:
        Unavailable: something did not start, or came to no end.
    """
    started = clock.monotonic()
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="serinus-chaos-") as folder:
        scripts = exact.scripts(seed)
        for outcome in exact.run(Path(folder), list(kinds), scripts, one_in=one_in):
            outcomes.append(outcome)
            progress(f"{outcome.name}: {outcome.kills} kills, {outcome.phase}")
    walks = []
    for kind in kinds:
        walks.append(commands.run(kind, one_in=one_in, seed=seed))
        progress(f"by hand, {kind}: {sum(walks[-1].kills.values())} kills")
    life = living.run(kills=kills, rate=rate, seed=seed) if kills else None
    return Finding(
        name="rollout",
        statement=STATEMENT,
        bars=(
            *_exact_bars(outcomes),
            *_command_bars(walks),
            *(_live_bars(life, kills) if life else ()),
        ),
        seed=seed,
        seconds=clock.monotonic() - started,
        notes={
            **{one.name: _notes(one) for one in outcomes},
            **{f"kills by command, {one.name}": one.kills for one in walks},
            **_live_notes(life),
        },
        faults=(
            *(
                f"by hand, {one.name}: {fault}"
                for one in walks
                for fault in one.differences + one.faults
            ),
            *(f"{one.name}: {fault}" for one in outcomes for fault in one.differences + one.faults),
            *(life.faults if life else ()),
        ),
    )


def _exact_bars(outcomes: Sequence[Outcome]) -> tuple[Bar, ...]:
    return (
        at_most(DIFFERENCES, sum(bool(one.differences) for one in outcomes), 0),
        at_most(IMPOSSIBLE, sum(len(one.faults) for one in outcomes), 0),
        at_most(UNEXACT, sum(not one.exact for one in outcomes), 0),
        at_least(KILLS, sum(one.kills for one in outcomes), len(outcomes)),
    )


def _command_bars(walks: Sequence[Walked]) -> tuple[Bar, ...]:
    wrong = sum(len(one.differences) + len(one.faults) + (not one.exact) for one in walks)
    return (
        at_most(COMMANDS, wrong, 0),
        at_least(COMMAND_KILLS, sum(sum(one.kills.values()) for one in walks), len(walks)),
    )


def _live_bars(life: Life, kills: int) -> tuple[Bar, ...]:
    back = [seconds for _, seconds in record.absences(life.notes)] or [float("inf")]
    return (
        at_most(DROPPED, life.tally.dropped, 0),
        at_most(f"{IMPOSSIBLE}, live", len(life.faults), 0),
        at_most(f"{UNEXACT}, live", life.unexact, 0),
        at_most(RESUME, max(back), RESUME_SECONDS, "s"),
        at_most("the median of it", median(back), None, "s"),
        at_least(LIVE_KILLS, len(record.strikes(life.notes)), kills),
        at_least("requests answered", len(life.tally.acknowledged), 1),
        at_least("rollouts that ended", sum(life.rollouts.values()), 1),
    )


def _notes(one: Outcome) -> dict[str, float]:
    return {
        "kills": one.kills,
        "points of the code": one.points,
        "batches": one.batches,
        "seconds": round(one.seconds, 1),
    }


def _live_notes(life: Life | None) -> dict[str, dict[str, float]]:
    if life is None:
        return {}
    absences = record.absences(life.notes)
    waited = [began for began, _ in absences] or [0.0]
    worked = [back - began for began, back in absences] or [0.0]
    return {
        "live rollouts": life.rollouts,
        "return, in seconds": {
            "median until it is started": median(waited),
            "worst until it is started": max(waited),
            "median from there to its first work": median(worked),
            "worst from there to its first work": max(worked),
        },
        "live": {"transitions": life.transitions, "requests in evidence": life.counted},
    }
