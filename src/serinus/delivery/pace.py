"""How fast a deployment's evidence grows, and what the present step still waits for.

Pure. Logarithms of e-values grow in proportion to what is observed while nothing changes, so the
line through the step's first look and the present one says when a bound will be reached. Where a
difference lies at its margin there is no such line: a bet on it hardly grows. It informs; it never
decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import isfinite

import msgspec

from serinus.delivery.reconcile import WorkerView
from serinus.delivery.types import Assessment, Deployment, Gate, Phase, Step, Verdict
from serinus.delivery.verdicts.estimate import standard_error
from serinus.delivery.verdicts.evidence import EMPTY, Evidence
from serinus.delivery.verdicts.wording import TITLES

# A line through fewer observations than these, or from less of a bet won, points anywhere.
_FEWEST_UNITS = 20
_LEAST_GAIN = 0.05
# Beyond this nobody waits, and the line is not that straight.
_MOST_SECONDS = 90 * 86_400.0
_TITLES: Mapping[str, str] = {str(kind): title for kind, title in TITLES.items()}
_PAIRED = ("shadow_errors", "shadow_quality", "disagreement")
# An estimate within so many standard errors of its margin lies at it.
_AT_MARGIN = 2.0


class Seen(msgspec.Struct, frozen=True):
    """One look at the evidence: when, and what it said."""

    at: datetime
    verdict: Verdict


class Ahead(msgspec.Struct, frozen=True):
    """What the present step still waits for, longest first.

    ``waits_for`` is a guardrail's kind, or ``requests``, ``time``, ``workers``, ``person``,
    ``soak`` or ``controller``; ``units`` how many requests (pairs, labels) it still needs and
    ``seconds`` how long that takes at the present pace, None where it cannot be told; ``until``
    when the step's time is over.
    """

    waits_for: str
    sentence: str
    units: float | None = None
    seconds: float | None = None
    until: datetime | None = None


class Facts(msgspec.Struct, frozen=True):
    """What is known of one deployment at one moment.

    ``fresh`` counts what the present step added; ``now`` is the newest look, ``before`` one of at
    least some seconds ago and ``first`` the step's first one, None where there was none. Where no
    worker reports, ``silent_since`` is when the last one did; None if none ever has. Until
    ``asked_since`` the model's default answers, or answered, alone.
    """

    deployment: Deployment
    fresh: int
    workers: tuple[WorkerView, ...]
    at: datetime
    now: Seen | None = None
    before: Seen | None = None
    first: Seen | None = None
    silent_since: datetime | None = None
    asked_since: datetime | None = None
    evidence: Evidence = EMPTY


def rates(facts: Facts, requests: Mapping[str, int]) -> dict[str, float]:
    """Requests (pairs) a second by arm, since the look of some seconds ago.

    Args:
        facts: of the deployment.
        requests: how many there are by now, by arm.
    """
    if not facts.deployment.live:
        return {}
    began = facts.before.at if facts.before else facts.deployment.created_at
    seconds = (facts.at - began).total_seconds()
    known = _by_arm(facts.before.verdict) if facts.before else {}
    if seconds <= 0:
        return {}
    return {
        arm: max(0.0, (number - known.get(arm, 0)) / seconds) for arm, number in requests.items()
    }


def _by_arm(verdict: Verdict) -> dict[str, int]:
    found: dict[str, int] = {}
    for rail in verdict.guardrails:
        if rail.kind == "errors":
            found["challenger"] = rail.challenger_requests
            found["champion"] = rail.requests - rail.challenger_requests
        elif rail.kind == "shadow_errors":
            found["shadow"] = rail.requests
    return found


def ahead(facts: Facts, rate: float) -> Ahead | None:
    """What the deployment waits for; None if it has ended.

    Args:
        facts: of the deployment.
        rate: requests (pairs) of its step a second.
    """
    deployment = facts.deployment
    if deployment.unreadable and deployment.live:
        return Ahead("person", deployment.reason)
    found = _in_phase(facts, rate)
    if found is not None and facts.asked_since is not None and facts.at < facts.asked_since:
        return _standing_still(facts, found, facts.asked_since)
    return found


def _in_phase(facts: Facts, rate: float) -> Ahead | None:
    deployment, plan = facts.deployment, facts.deployment.plan
    match deployment.phase:
        case Phase.PENDING:
            return _loading(facts)
        case Phase.PAUSED:
            verb = "approve" if deployment.waits_for_approval else "resume"
            how = f"It waits for a person to {verb} it: serinus deployments {verb} {deployment.id}."
            return Ahead("person", f"{how} A rollback stays live.")
        case Phase.SOAKING:
            return _soaking(facts)
        case Phase.RUNNING if deployment.step < len(plan.steps):
            return _running(facts, plan.steps[deployment.step], rate)
        case _:
            return None


def _standing_still(facts: Facts, found: Ahead, until: datetime) -> Ahead:
    """No version is asked, so only proven harm moves it; whoever waits for it can end that."""
    model = facts.deployment.model
    words = (
        f"It stands still: only the default of {model} answers until {until:%F %T} UTC. "
        f"To have its versions asked again now: serinus default alone {model} --end."
    )
    if found.waits_for == "person":
        return Ahead("person", f"{words} {found.sentence}")
    return Ahead("time", words, seconds=(until - facts.at).total_seconds(), until=found.until)


def _after(deployment: Deployment, seconds: float) -> datetime:
    return deployment.step_entered_at + timedelta(seconds=seconds)


def _loading(facts: Facts) -> Ahead:
    deployment = facts.deployment
    wanted = f"{deployment.model}@{deployment.challenger}"
    ready = sum(wanted in worker.ready for worker in facts.workers)
    words = (
        f"{ready} of {len(facts.workers)} gateway workers that reported lately have {wanted} ready."
        if facts.workers
        else "No gateway worker has reported: start one with serinus gateway."
    )
    return Ahead("workers", words, until=_after(deployment, deployment.plan.load_seconds))


def _soaking(facts: Facts) -> Ahead:
    """A soak whose time is over ends once all workers serve: nothing proves harm where none do."""
    deployment = facts.deployment
    until = _after(deployment, deployment.plan.soak_seconds)
    if facts.at < until:
        words = f"The former champion stays warm until {until:%H:%M:%S} UTC."
        return Ahead("soak", words, until=until)
    wanted = f"{deployment.model}@{deployment.challenger}"
    behind = [worker.worker for worker in facts.workers if wanted not in worker.ready]
    over = f"Its soak was over at {until:%F %T} UTC, and it stays as it is"
    if behind:
        return Ahead("workers", f"{over}: {', '.join(behind)} lacks {wanted}.")
    if facts.workers:
        return Ahead("controller", "Everything it asks for is there.", seconds=0.0)
    silent = "has ever reported"
    if facts.silent_since is not None:
        silent = f"has reported since {facts.silent_since:%F %T} UTC"
    return Ahead(
        "workers",
        f"{over}: no gateway worker {silent}, so nobody knows how it serves. Start one with "
        "serinus gateway.",
    )


def _running(facts: Facts, step: Step, rate: float) -> Ahead:
    until = _after(facts.deployment, step.max_seconds)
    waits = [_requests(facts, step, rate), _time(facts, step), *_evidence(facts, step.gate, until)]
    open_ = [item for item in waits if item is not None]
    if not open_:
        return Ahead("controller", "Everything it asks for is there.", seconds=0.0, until=until)
    # What cannot be told waits longest, as far as anybody knows.
    longest = max(open_, key=lambda item: _MOST_SECONDS if item.seconds is None else item.seconds)
    left = (until - facts.at).total_seconds()
    late = longest.seconds is not None and longest.seconds > left
    return msgspec.structs.replace(
        longest,
        until=until,
        sentence=longest.sentence
        + (" At this pace its time will be over first: the champion then stays." if late else ""),
    )


def _requests(facts: Facts, step: Step, rate: float) -> Ahead | None:
    left = step.min_requests - facts.fresh
    if left <= 0:
        return None
    unit = "pairs" if step.shadow else "requests"
    return Ahead(
        "requests",
        f"{left:,} of the {step.min_requests:,} {unit} of this step are still to come.",
        units=float(left),
        seconds=_seconds(left, rate),
    )


def _time(facts: Facts, step: Step) -> Ahead | None:
    left = (_after(facts.deployment, step.min_seconds) - facts.at).total_seconds()
    if left <= 0:
        return None
    return Ahead("time", f"The step lasts at least {step.min_seconds:g} s.", seconds=left)


def _evidence(facts: Facts, gate: Gate, until: datetime) -> list[Ahead]:
    if facts.now is None:
        return []
    return [
        _at_margin(facts, rail, gate, until) or _guardrail(facts, rail)
        for rail in facts.now.verdict.guardrails
        if rail.log_safe is not None and rail.state != "safe"
    ]


def _guardrail(facts: Facts, rail: Assessment) -> Ahead:
    title = _TITLES.get(rail.kind, rail.kind)
    units = _units_left(facts, rail)
    if units is None:
        why = "too little was seen to say when" if rail.log_safe else "nothing was seen of it yet"
        if rail.log_safe is not None and rail.log_safe >= rail.safe_bound:
            why = "its evidence is there, its labels are not"
        return Ahead(rail.kind, f"{title} is undecided: {why}.")
    return Ahead(
        rail.kind,
        f"{title} decides last: about {_round(units):,} more {_unit(rail.kind)}.",
        units=units,
        seconds=_seconds(units, _pace(facts, rail)),
    )


def _at_margin(facts: Facts, rail: Assessment, gate: Gate, until: datetime) -> Ahead | None:
    """Says so where a difference is too near its margin to be decided in the step's time.

    The best bet against a margin m grows by (m - d)^2 / (2 s^2) a pair where d is the mean
    difference and s its deviation: as many are needed as the bound is greater than that. It is
    said only once a challenger as good as the champion would have been let through.
    """
    margin, difference = _margin(gate, rail.kind), _difference(rail)
    deviation = standard_error(rail.kind, facts.evidence)
    if not margin or difference is None or not deviation or not rail.requests:
        return None
    if rail.log_safe is not None and rail.log_safe >= rail.safe_bound:
        return None
    grown = ((margin - difference) / deviation) ** 2 / 2
    pace = max(_pace(facts, rail), _since(facts, facts.first, rail))
    coming = pace * max(0.0, (until - facts.at).total_seconds())
    reached = grown * (1 + coming / rail.requests) >= rail.safe_bound
    if margin**2 / deviation**2 / 2 < rail.safe_bound or (reached and difference < margin):
        return None
    line = _units_left(facts, rail)
    if line is not None and line <= coming:
        return None
    near = abs(margin - difference) <= _AT_MARGIN * deviation
    place = "at" if near else "beyond" if difference > margin else "near"
    way = "worse" if difference > 0 else "better"
    seen = f"{abs(100 * difference):.2f} points {way} over {rail.requests:,} {_unit(rail.kind)}"
    return Ahead(
        rail.kind,
        f"{_TITLES.get(rail.kind, rail.kind)} lies {place} its margin: {seen}, where "
        f"{100 * margin:g} are to be excluded. The step will probably end inconclusive when its "
        f"time is over, at {until:%F %T} UTC: the champion then stays.",
    )


def _margin(gate: Gate, kind: str) -> float | None:
    """What a difference of rates is held against; None where a gate asks of no difference."""
    if kind in ("quality", "shadow_quality"):
        return gate.quality_points
    return gate.error_points if kind == "shadow_errors" else None


def _difference(rail: Assessment) -> float | None:
    if rail.kind in _PAIRED or rail.challenger is None:
        return rail.challenger
    return None if rail.champion is None else rail.challenger - rail.champion


def _unit(kind: str) -> str:
    if "quality" in kind:
        return "labels"
    return "pairs" if kind in _PAIRED else "requests"


def _units_left(facts: Facts, rail: Assessment) -> float | None:
    """What the guardrail still has to see, along the line since the step's first look."""
    if rail.log_safe is None or rail.log_safe >= rail.safe_bound:
        return None
    first = _of(facts.first, rail.kind)
    seen = rail.requests - (first.requests if first else 0)
    gained = rail.log_safe - ((first.log_safe or 0.0) if first else 0.0)
    if seen < _FEWEST_UNITS or gained < _LEAST_GAIN:
        # The first look may be the only one; then the line begins where nothing was known.
        seen, gained = rail.requests, rail.log_safe
    if seen < _FEWEST_UNITS or gained < _LEAST_GAIN:
        return None
    left = (rail.safe_bound - rail.log_safe) * seen / gained
    return left if isfinite(left) else None


def _pace(facts: Facts, rail: Assessment) -> float:
    """What the guardrail saw a second of late."""
    return _since(facts, facts.before or facts.first, rail)


def _since(facts: Facts, base: Seen | None, rail: Assessment) -> float:
    before = _of(base, rail.kind)
    if base is None or before is None:
        return 0.0
    seconds = (facts.at - base.at).total_seconds()
    return (rail.requests - before.requests) / seconds if seconds > 0 else 0.0


def _of(seen: Seen | None, kind: str) -> Assessment | None:
    rails = seen.verdict.guardrails if seen else ()
    return next((rail for rail in rails if rail.kind == kind), None)


def _seconds(units: float, rate: float) -> float | None:
    if rate <= 0:
        return None
    seconds = units / rate
    return seconds if seconds <= _MOST_SECONDS else None


def _round(units: float) -> int:
    """To two digits: it is a guess."""
    number = max(1, round(units))
    scale = int(10 ** max(0, len(str(number)) - 2))
    return round(number / scale) * scale
