"""The sentences that a shadow report begins with."""

from __future__ import annotations

from serinus.delivery.shadows.types import Differing, Failures, Labelled, Segment, Shift

# Evidence of twenty to one is what a person may call shown.
_SHOWN = 20.0


def conclusion(
    pairs: int,
    failures: Failures,
    differing: Differing,
    shift: Shift | None,
    labelled: Labelled | None,
    segments: tuple[Segment, ...],
) -> str:
    """What a report comes to, in a few sentences."""
    if not pairs:
        return "No request has been answered by both versions yet."
    told = [_differing(pairs, differing)]
    if failures.champion or failures.challenger:
        told.append(
            f"The challenger failed {failures.challenger:,} of {pairs:,} requests, the champion "
            f"{failures.champion:,}."
        )
    if differing.same_within and shift is not None:
        told.append(f"The challenger's answers are {_signed(shift.mean.value)} on average.")
    if labelled is not None:
        told.append(_labelled(labelled))
    worst = next((segment for segment in segments if segment.proven), None)
    if worst is not None:
        told.append(
            f"They differ most where {worst.feature} is {worst.bin}: on {worst.rate:.1%} of "
            f"{worst.pairs:,} requests."
        )
    elif segments and differing.flips:
        told.append("No part of the requests is proven to differ more than the rest.")
    return " ".join(told)


def _differing(pairs: int, found: Differing) -> str:
    apart = f"further apart than {found.same_within:g}" if found.same_within else "otherwise"
    if not found.compared:
        return f"Of {pairs:,} requests none was answered by both."
    begin = f"The two answer {found.rate:.2%} of the same {found.compared:,} requests {apart}"
    if found.noise is None:
        return f"{begin}."
    low, high = found.excess.low or 0.0, found.excess.high or 0.0
    if low > 0:
        return (
            f"{begin}, {100 * found.excess.value:.2f} points more than the champion differs from "
            f"itself ({100 * low:.2f} to {100 * high:.2f})."
        )
    return f"{begin}; the champion, asked twice, differs from itself on {found.noise:.2%}: noise."


def _labelled(found: Labelled) -> str:
    asked = found.challenger_better + found.champion_better
    begin = (
        f"Of {found.labels:,} labels {asked:,} tell them apart: the challenger was the better "
        f"{found.challenger_better:,} times, the champion {found.champion_better:,} times"
    )
    if found.odds_worse >= _SHOWN:
        return f"{begin}, so the challenger is worse."
    if found.odds_better >= _SHOWN:
        return f"{begin}, so the challenger is better."
    return f"{begin}, which proves neither."


def _signed(value: float) -> str:
    return f"{abs(value):.4g} {'higher' if value > 0 else 'lower'}" if value else "as high"
