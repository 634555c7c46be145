"""All that is claimed, and how it is checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import perf_counter

from serinus.errors import NotFound
from serinus.proof import (
    aa,
    delay,
    drifting,
    entities,
    latency,
    margin,
    paired,
    power,
    promote,
    ratio,
    soak,
)
from serinus.proof.runner import Runner
from serinus.proof.types import Claim, Finding

SEED = 2026
"""Of the published figures.

Limits of error rates are kept with any other as well, but for the luck of one run in some dozens.
What is near its limit may lie on the other side of it with another seed: the rate of promotions by
the default steps, and the 90 % quantile at twice the errors.
"""

EVERY = "all"

CLAIMS: Mapping[str, Claim] = {
    claim.name: claim
    for claim in (
        module.claim()
        for module in (
            aa,
            margin,
            power,
            promote,
            latency,
            paired,
            entities,
            delay,
            ratio,
            drifting,
            soak,
        )
    )
}


def named(name: str) -> tuple[Claim, ...]:
    """The claim of that name, or all of them.

    Raises:
        NotFound: there is none of that name.
    """
    if name == EVERY:
        return tuple(CLAIMS.values())
    if name not in CLAIMS:
        raise NotFound(
            f"there is no claim {name!r}",
            where="prove",
            remedy=f"Choose one of {', '.join(CLAIMS)}, or {EVERY}.",
        )
    return (CLAIMS[name],)


def check(runner: Runner, claim: Claim, runs: int | None = None) -> Finding:
    """Measure a claim, with its own number of runs or another."""
    started = perf_counter()
    found = claim.prove(runner, runs or claim.runs)
    return Finding(
        claim=claim.name,
        statement=claim.statement,
        bars=found.bars,
        runs=found.runs,
        seed=runner.seed,
        seconds=perf_counter() - started,
        notes=found.notes,
        scale=(runs or claim.runs) / claim.runs,
    )


def passed(findings: Iterable[Finding]) -> bool:
    """Whether every claim holds; nothing measured proves nothing."""
    listed = list(findings)
    return bool(listed) and all(finding.passed for finding in listed)
