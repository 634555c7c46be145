"""Whether a model may meet traffic: pure judgements, each with its figures."""

from __future__ import annotations

from serinus.registry.model_types import ModelType
from serinus.registry.types import GateResult
from serinus.training.evaluation import Evaluation, better_by


def thresholds(profile: ModelType, evaluation: Evaluation) -> list[GateResult]:
    """A gate for each absolute bound of the profile."""
    bounds = [(name, bound, 1.0) for name, bound in profile.least.items()]
    bounds += [(name, bound, -1.0) for name, bound in profile.most.items()]
    results: list[GateResult] = []
    for name, bound, sign in bounds:
        estimate = evaluation.metrics.get(name)
        word = "at least" if sign > 0 else "at most"
        if estimate is None:
            detail = f"the evaluation has no {name}, and {word} {bound:g} is asked"
            results.append(GateResult(f"threshold {name}", passed=False, detail=detail))
            continue
        passed = sign * (estimate.value - bound) >= 0  # false for a metric that is not defined
        detail = (
            f"{estimate.value:.4f} (95 %: {estimate.low:.4f} to {estimate.high:.4f}), "
            f"{word} {bound:g} is asked"
        )
        results.append(GateResult(f"threshold {name}", passed, detail))
    return results


def benchmark(
    profile: ModelType, evaluation: Evaluation, champion: str, theirs: Evaluation
) -> GateResult:
    """Whether the model is no worse than the champion on the same rows, within the tolerance."""
    metric = profile.benchmark
    new, old = evaluation.metrics[metric].value, theirs.metrics[metric].value
    gain = better_by(metric, new, old)
    detail = (
        f"{new:.4f} against {old:.4f} of champion {champion} on the same {evaluation.rows} rows; "
        f"worse by at most {profile.tolerance:g} is allowed"
    )
    return GateResult(f"benchmark {metric}", gain >= -profile.tolerance, detail)


def not_comparable(profile: ModelType, champion: str, why: str) -> GateResult:
    """The benchmark's result when the champion cannot answer these rows: it forbids nothing."""
    detail = f"champion {champion} cannot be asked about these rows ({why})"
    return GateResult(f"benchmark {profile.benchmark}", passed=True, detail=detail)


def latency(profile: ModelType, milliseconds: float) -> GateResult:
    """Whether the 95th percentile of single predictions is within the budget."""
    passed = milliseconds <= profile.latency_ms
    detail = f"p95 of one prediction {milliseconds:.1f} ms, budget {profile.latency_ms:g} ms"
    return GateResult("latency", passed, detail)


def size(profile: ModelType, size_bytes: int) -> GateResult:
    """Whether the pickled model is within the budget."""
    megabytes = size_bytes / 1e6
    detail = f"{megabytes:.2f} MB, budget {profile.size_mb:g} MB"
    return GateResult("size", megabytes <= profile.size_mb, detail)
