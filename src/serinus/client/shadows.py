"""Shadow reports: shapes and call. Rates and shares lie in [0, 1]; latencies are milliseconds."""

from __future__ import annotations

from datetime import datetime

import msgspec

from serinus.client.calls import Call, path_of
from serinus.client.types import Assessment


class Interval(msgspec.Struct, frozen=True):
    """A value and where it lies with 95 %, however often one looks; None is unbounded."""

    value: float
    low: float | None
    high: float | None


class Failures(msgspec.Struct, frozen=True):
    """Requests that one version, or both, failed."""

    champion: int
    challenger: int
    both: int


class Differing(msgspec.Struct, frozen=True):
    """How often the two answer otherwise, and how often the champion differs from itself.

    ``compared`` were answered by both, ``flips`` of them otherwise (a regression: further apart
    than ``same_within``). ``noise`` is the champion's own rate over the ``cloned`` requests that it
    answered twice, None if there is none; ``excess`` is what lies beyond it, over those requests
    if there are any, else over all.
    """

    compared: int
    flips: int
    rate: float
    same_within: float
    cloned: int
    noise: float | None
    excess: Interval


class Mover(msgspec.Struct, frozen=True):
    """A request whose score moved most. ``prediction`` is its id, in hexadecimal."""

    prediction: str
    champion: float
    challenger: float


class Shift(msgspec.Struct, frozen=True):
    """The challenger's score minus the champion's.

    The score is a regression's value, the second class's probability of two, the greatest of more.
    ``quantiles`` are of the differences, by the names ``p1`` to ``p99``.
    """

    compared: int
    mean: Interval
    quantiles: dict[str, float]
    movers: tuple[Mover, ...]


class Confusion(msgspec.Struct, frozen=True):
    """Answers of the champion (rows) by those of the challenger (columns); the last: all others."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class Segment(msgspec.Struct, frozen=True):
    """Requests with this feature in this bin, or of this value.

    ``odds`` is the evidence, to one, that the two differ more often in it than elsewhere; a segment
    is ``proven`` if it is among the discoveries of which at most a twentieth are expected to be
    false.
    """

    feature: str
    bin: str
    pairs: int
    flips: int
    rate: float
    odds: float
    proven: bool


class Latency(msgspec.Struct, frozen=True):
    """Quantiles of the time to an answer.

    A mirrored request is answered in a batch of its own, when there is time: the two say how heavy
    the versions are, not how fast they would be in each other's place.
    """

    p50: float
    p95: float
    p99: float


class Labelled(msgspec.Struct, frozen=True):
    """Who was right, of pairs whose label came.

    Losses are mean losses on the plan's scale (of a classifier the rate of wrong answers);
    ``excess`` is the challenger's minus the champion's. ``odds_worse`` and ``odds_better`` are the
    evidence, to one, from the requests on which only one was the better.
    """

    labels: int
    champion_loss: float
    challenger_loss: float
    excess: Interval
    challenger_better: int
    champion_better: int
    odds_worse: float
    odds_better: float


class ShadowReport(msgspec.Struct, frozen=True):
    """What is known of two versions that answered the same requests.

    ``pairs`` of ``of`` were read, the newest; ``soak`` of them while the challenger held
    production. ``missing`` batches are no longer in the ledger. ``segments`` are of the ``known``
    pairs whose features were found, the likeliest first; ``tested`` segments were compared.
    ``guardrails`` are those of pairs as they stand now.
    """

    deployment: str
    model: str
    champion: str
    challenger: str
    phase: str
    conclusion: str
    pairs: int
    of: int
    soak: int
    missing: int
    since: datetime | None
    until: datetime | None
    failures: Failures
    differing: Differing
    shift: Shift | None
    confusion: Confusion | None
    known: int
    tested: int
    segments: tuple[Segment, ...]
    champion_latency: Latency | None
    challenger_latency: Latency | None
    labelled: Labelled | None
    guardrails: tuple[Assessment, ...]


REPORT_SECONDS = 120.0
"""A report of a million pairs reads several times as many events."""


def shadow_report(deployment: str, *, pairs: int | None = None) -> Call[ShadowReport]:
    """What two versions answered to the same requests, computed from the ledger.

    Args:
        deployment: its id, live or ended.
        pairs: at most so many, the newest; left out, 200,000.
    """
    return Call(
        "GET",
        path_of("deployments", deployment, "shadow"),
        ShadowReport,
        query={} if pairs is None else {"pairs": pairs},
        seconds=REPORT_SECONDS,
    )
