"""What each event adds to the evidence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery import samples
from tests.delivery.samples import NUMBERS, answered, assigned, table

from serinus.delivery.planning.plan import Basis
from serinus.delivery.types import Deployment, DeploymentSpec
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import fold
from serinus.delivery.verdicts.evidence import EMPTY, Evidence, Measure
from serinus.delivery.verdicts.fold import LABEL, VALUE, Facts, Gathered, mature
from serinus.delivery.verdicts.watch import UNSEEN, Watch
from serinus.wire import (
    Answer,
    Arm,
    Assignment,
    Event,
    Failure,
    Label,
    Output,
    Prediction,
    Shadow,
    Value,
    WorkerStatus,
)

Records = list[tuple[bytes, Event]]


def live(basis: Basis = samples.BASIS, **fields: object) -> Deployment:
    spec = DeploymentSpec(model="fraud", challenger="1.1.0", **fields)  # type: ignore[arg-type]
    return samples.deployment(spec, basis=basis)


def gather(
    records: Records,
    deployment: Deployment | None = None,
    *,
    watch: Watch = UNSEEN,
    known: dict[int, bool] | None = None,
) -> Gathered:
    subject = deployment or live()
    found, _ = fold.sort(records, {subject.id: subject})
    return fold.gather(subject, found[subject.id], watch, known or {})


def shadowed(
    champion: Output | None, challenger: Output | None, *, unit: int = 0, request: bytes = b"p1"
) -> Shadow:
    assignment = assigned(Arm.CHAMPION, share=0.0, unit=unit, step=0)
    failure = "" if challenger else "boom"
    return Shadow(1_500, request, assignment, "1.1.0", champion, challenger, 9, failure)


def label(of: bytes, value: Answer, *, at: int = 2_000) -> Label:
    return Label(at, of, value, 1_000, assigned(), "1.1.0", Output(1))


def value(of: bytes, worth: float) -> Value:
    return Value(2_000, of, worth, 1_000, assigned(), "1.1.0")


def test_gather_counts_an_answer_and_waits_for_its_label() -> None:
    found = gather([(b"p1", answered(assigned()))])
    assert found.evidence == (
        table(Measure.ERROR, 0.25, challenger=[1]) + table(Measure.STEP, 0.25, challenger=[0, 1])
    )
    assert found.labels.asked == {b"p1": (1_000, Facts(Arm.CHALLENGER, 0.25, 1))}
    assert not found.labels.told
    assert not found.values.asked  # no business value is judged


def test_gather_charges_a_fallback_to_the_arm_that_failed() -> None:
    found = gather([(b"p1", answered(assigned(), fallback="ValueError"))])
    assert found.evidence.total(Measure.ERROR, Arm.CHALLENGER, 1) == 1
    assert found.labels.asked[b"p1"][1].answer is None
    assert found.labels.told[b"p1"] == (1_000, fold.ANY)


def test_gather_counts_an_unanswered_request_as_a_failure() -> None:
    failure = Failure(1_000, assigned(Arm.CHAMPION), "1.0.0", "boom", 10)
    found = gather([(b"f", failure)])
    assert found.evidence.tables[Measure.ERROR][0.25].tolist() == [[0, 1], [0, 0]]
    assert found.labels.asked[b"f"] == (1_000, Facts(Arm.CHAMPION, 0.25, None))
    assert b"f" in found.labels.told  # wrong whatever the truth: it waits for no label


@pytest.mark.parametrize(
    "assignment",
    [assigned(deployment=""), assigned(deployment="d0"), assigned(Arm.CHAMPION, share=0.0)],
)
def test_gather_ignores_requests_that_no_draw_assigned(assignment: Assignment) -> None:
    found = gather([(b"p1", answered(assignment))])
    assert found.evidence == EMPTY
    assert not found.labels.asked


def test_gather_in_the_soak_counts_the_service_level_only() -> None:
    subject = live(**samples.EVERYTHING)
    soak = len(subject.plan.steps)
    of_soak = assigned(Arm.CHAMPION, share=0.0, step=soak)
    broken = Failure(1_000, of_soak, "1.1.0", "boom", 10)
    # A gateway that had not heard of the switch yet still answered by the former champion.
    late = answered(of_soak, version="1.0.0")
    found = gather([(b"p1", answered(of_soak)), (b"f1", broken), (b"p2", late)], subject)
    assert found.evidence == (
        table(Measure.ERROR, 1.0, challenger=[1, 1])
        + table(Measure.STEP, 1.0, challenger=[*[0] * soak, 2])
    )
    assert not found.labels.asked
    assert not found.values.asked
    assert found.watch.pending.sum() == 1  # the former champion's answer alone


def test_gather_pairs_a_shadow_answer_with_the_champions() -> None:
    found = gather([(b"s1", shadowed(Output(0), Output(1)))])
    assert found.evidence == (
        table(Measure.PAIR_ERROR, challenger=[0, 1, 0])
        + table(Measure.PAIR_FLIP, challenger=[0, 1])
        + table(Measure.STEP, challenger=[1])
    )
    assert found.labels.asked == {b"p1": (1_500, Facts(Arm.SHADOW, 0.0, 1, 0))}


@pytest.mark.parametrize(
    ("champion", "challenger", "difference"),
    [(Output(0), None, 2), (None, Output(1), 0), (None, None, 1)],
)
def test_gather_compares_the_failures_of_a_pair(
    champion: Output | None, challenger: Output | None, difference: int
) -> None:
    found = gather([(b"s1", shadowed(champion, challenger))])
    assert found.evidence.total(Measure.PAIR_ERROR, level=difference) == 1
    assert found.evidence.total(Measure.PAIR_ERROR) == 1
    # Answers and quality are compared where both answered.
    assert found.evidence.total(Measure.PAIR_FLIP) == 0
    assert not found.labels.asked


@pytest.mark.parametrize(
    ("champion", "challenger", "differ"),
    [
        (5.0, 5.0, 0),
        (5.0, 6.9, 0),
        (5.0, 7.1, 1),
        (5.0, math.nan, 1),
        (math.nan, math.nan, 0),
        (math.inf, math.inf, 0),
        (math.inf, -math.inf, 1),
        (5.0, "text", 1),
    ],
)
def test_gather_tells_regressions_apart_beyond_the_typical_error(
    champion: Answer, challenger: Answer, differ: int
) -> None:
    subject = live(NUMBERS, disagreement=0.2)
    assert subject.plan.same_within == 2.0
    found = gather([(b"s1", shadowed(Output(champion), Output(challenger)))], subject)
    assert found.evidence.total(Measure.PAIR_FLIP, level=differ) == 1


def test_gather_takes_the_first_label_and_one_that_comes_early() -> None:
    records: Records = [(b"l1", label(b"p9", 1)), (b"l2", label(b"p9", 0))]
    found = gather(records)
    assert found.labels.told == {b"p9": (1_000, 1)}
    assert not found.labels.asked
    assert found.evidence == table(Measure.TOLD, challenger=[2])  # both are seen to have come


def test_gather_keeps_values_apart_from_labels() -> None:
    records: Records = [
        (b"p1", answered(assigned())),
        (b"l1", label(b"p1", 0)),
        (b"v1", value(b"p1", 3.5)),
        (b"v2", value(b"p1", 9.0)),
    ]
    found = gather(records, live(**samples.EVERYTHING))
    asked = {b"p1": (1_000, Facts(Arm.CHALLENGER, 0.25, 1))}
    assert found.labels.asked == found.values.asked == asked
    assert found.labels.told == {b"p1": (1_000, 0)}
    assert found.values.told == {b"p1": (1_000, 3.5)}
    unasked = gather(records, live(labels=False))
    assert unasked.labels == unasked.values == fold.Waiting()
    assert unasked.evidence.total(Measure.TOLD) == 3


def test_gather_waits_for_the_value_of_a_failure_too() -> None:
    failure = Failure(1_000, assigned(), "1.1.0", "boom", 10)
    found = gather([(b"f", failure)], live(**samples.EVERYTHING))
    assert found.values.asked == {b"f": (1_000, Facts(Arm.CHALLENGER, 0.25, None))}
    assert not found.values.told


def test_gather_counts_an_entity_once() -> None:
    records: Records = [
        (name, answered(assigned(unit=unit)))
        for name, unit in ((b"p1", 5), (b"p2", 5), (b"p3", 6), (b"p4", 7))
    ]
    found = gather(records, live(unit="entity"), known={7: False})
    assert found.units == {5: False, 6: False}
    assert set(found.labels.asked) == {b"p1", b"p3"}
    assert found.evidence.total(Measure.ERROR) == 2
    assert found.evidence.total(Measure.STEP) == 2


def test_gather_counts_every_request_where_the_request_is_the_unit() -> None:
    found = gather([(name, answered(assigned(unit=5))) for name in (b"p1", b"p2")])
    assert found.evidence.total(Measure.ERROR) == 2
    assert found.units == {}


def test_gather_counts_an_entitys_first_failure_whenever_it_comes() -> None:
    fails = {"fallback": "ValueError"}
    records: Records = [
        (b"p1", answered(assigned(unit=5))),
        (b"p2", answered(assigned(unit=5), **fails)),  # its first failure
        (b"p3", answered(assigned(unit=5), **fails)),  # no longer drawn anew
        (b"p4", answered(assigned(unit=6), **fails)),  # failed in an earlier batch
        (b"p5", answered(assigned(unit=7), **fails)),  # known, but had not failed
    ]
    found = gather(records, live(unit="entity"), known={6: True, 7: False})
    assert found.evidence.total(Measure.FIRST_FAILURE) == 2
    assert found.evidence.total(Measure.ERROR, level=1) == 0
    assert found.units == {5: True, 7: True}  # nothing new of 6


def test_gather_takes_each_first_failure_for_the_arm_that_had_the_entity_then() -> None:
    """On a ramp an entity moves from the champion to the challenger; it never counts twice."""
    fails = {"fallback": "ValueError"}
    records: Records = [
        (b"p1", answered(assigned(Arm.CHAMPION, share=0.05, unit=5))),
        (b"p2", answered(assigned(Arm.CHALLENGER, share=0.25, unit=5, step=2), **fails)),
        (b"p3", answered(assigned(Arm.CHALLENGER, share=0.5, unit=5, step=3), **fails)),
    ]
    found = gather(records, live(unit="entity"))
    assert found.evidence == (
        table(Measure.ERROR, 0.05, champion=[1])
        + table(Measure.STEP, 0.05, champion=[0, 1])
        + table(Measure.FIRST_FAILURE, 0.25, challenger=[0, 1])
    )


def test_gather_counts_requests_without_an_entity_one_by_one() -> None:
    records: Records = [
        (bytes([number]), answered(assigned(unit=unit), fallback="ValueError"))
        for number, unit in enumerate((0, 0, 9, 9))
    ]
    found = gather(records, live(unit="entity"))
    assert found.evidence.total(Measure.ERROR, level=1) == 3
    assert found.evidence.total(Measure.FIRST_FAILURE) == 3
    assert found.units == {9: True}


def test_gather_counts_a_mirrored_entity_once_and_apart_from_live_ones() -> None:
    records: Records = [
        (name, shadowed(Output(0), Output(1), unit=5, request=name)) for name in (b"s1", b"s2")
    ]
    subject = live(unit="entity")
    found = gather([*records, (b"p1", answered(assigned(unit=5)))], subject)
    assert set(found.units) == {5, ~5}
    assert set(found.labels.asked) == {b"s1", b"p1"}
    events = fold.sort(records, {"d1": subject})[0]["d1"]
    assert fold.units_of(subject, events) == {~5}
    again = gather(records, subject, known={~5: False})
    assert again.evidence == EMPTY
    assert again.units == {}


def test_sort_keeps_the_last_word_of_each_worker() -> None:
    words = [WorkerStatus(1, "w", revision, (), {}) for revision in (1, 2)]
    found, workers = fold.sort([(b"a", words[0]), (b"b", words[1])], {"d1": live()})
    assert workers == {"w": words[1]}
    assert not found["d1"]


OUTPUTS = st.builds(
    Output,
    st.sampled_from([0, 1, 2, "else", 0.5, math.nan, math.inf, -math.inf]),
    st.sampled_from(
        [(), (0.3, 0.7), (0.2, 0.2, 0.6), (math.nan, math.nan), (math.inf, 0.0), (0.5,)]
    ),
)
# A live entity and a mirrored one of the inverted hash would be taken for one: none are here.
UNITS = st.sampled_from([0, 1, 2, -9, 2**63 - 1])
ASSIGNMENTS = st.builds(
    assigned,
    st.sampled_from([Arm.CHAMPION, Arm.CHALLENGER, Arm.SHADOW, Arm.CLONE]),
    share=st.sampled_from([0.0, 0.05, 0.25, 1.0]),
    unit=UNITS,
    step=st.integers(0, 5),
)
TIMES = st.integers(-(2**62), 2**62)
LATENCIES = st.sampled_from([0, 1, 900, 1_100, 10**6, 2**62, -5])
REQUESTS = st.binary(min_size=1, max_size=1)
VERSIONS = st.sampled_from(["1.0.0", "1.1.0"])
EVENTS = st.one_of(
    st.builds(
        Prediction,
        TIMES,
        ASSIGNMENTS,
        VERSIONS,
        st.just((1.0,)),
        OUTPUTS,
        LATENCIES,
        st.sampled_from(["", "ValueError"]),
    ),
    st.builds(Failure, TIMES, ASSIGNMENTS, VERSIONS, st.just("boom"), LATENCIES),
    st.builds(
        Shadow,
        TIMES,
        REQUESTS,
        ASSIGNMENTS,
        VERSIONS,
        st.none() | OUTPUTS,
        st.none() | OUTPUTS,
        LATENCIES,
    ),
    st.builds(
        Label,
        TIMES,
        REQUESTS,
        st.sampled_from([0, 1, "else", math.nan, math.inf]),
        TIMES,
        ASSIGNMENTS,
        VERSIONS,
        OUTPUTS,
    ),
    st.builds(
        Value,
        TIMES,
        REQUESTS,
        st.floats(allow_nan=True, allow_infinity=True),
        TIMES,
        ASSIGNMENTS,
        VERSIONS,
    ),
)
PLANS = {
    "classes": live(**samples.EVERYTHING),
    "numbers": live(NUMBERS, **samples.EVERYTHING),
    "entities": live(unit="entity", **samples.EVERYTHING),
}


def in_parts(subject: Deployment, records: Records, cuts: list[int]) -> Gathered:
    """The same events in several batches, each knowing what those before it have left."""
    total = Gathered(EMPTY, UNSEEN)
    known: dict[int, bool] = {}
    for start, end in zip([0, *cuts], [*cuts, len(records)], strict=True):
        part = gather(records[start:end], subject, watch=total.watch, known=known)
        known |= part.units
        total.evidence += part.evidence
        total.watch = part.watch
        total.halves.challenger = part.halves.challenger | total.halves.challenger
        total.halves.clone = part.halves.clone | total.halves.clone
        total.evidence += ev.count(total.halves.join())
        for mine, more in ((total.labels, part.labels), (total.values, part.values)):
            mine.asked = more.asked | mine.asked
            mine.told = more.told | mine.told
    total.units = known
    return total


@pytest.mark.parametrize("kind", PLANS)
@given(events=st.lists(EVENTS, max_size=30), cuts=st.lists(st.integers(0, 30), max_size=3))
def test_gather_in_batches_is_as_in_one(kind: str, events: list[Event], cuts: list[int]) -> None:
    """Whatever the events hold, nothing is raised and where batches end cannot matter."""
    subject = PLANS[kind]
    # Latencies of an enough-seen champion come first, so that thresholds are in force.
    warm = answered(assigned(Arm.CHAMPION), version="1.0.0", latency_us=1_000)
    records: Records = [(bytes([0, n]), warm) for n in range(98)]
    records += [(bytes([1, n]), event) for n, event in enumerate(events)]
    ends = sorted(min(len(records), 95 + cut) for cut in cuts)
    whole, parts = gather(records, subject), in_parts(subject, records, ends)
    assert parts.evidence.encode() == whole.evidence.encode()
    assert parts.watch.encode() == whole.watch.encode()
    assert {unit for unit, failed in parts.units.items() if failed} == {
        unit for unit, failed in whole.units.items() if failed
    }
    assert set(parts.units) == set(whole.units)
    for mine, other in ((parts.labels, whole.labels), (parts.values, whole.values)):
        assert repr(sorted(mine.asked.items())) == repr(sorted(other.asked.items()))
        assert repr(sorted(mine.told.items())) == repr(sorted(other.told.items()))


def test_requests_take_what_the_plan_compares() -> None:
    subject = live(**samples.EVERYTHING)
    outputs = [
        Output(1, (0.3, 0.7)),
        Output(2, (0.1, 0.2, 0.7)),
        Output(0),
        Output("new"),
        Output(0, (math.nan, math.nan)),
    ]
    events = [(b"", answered(assigned(), output=output)) for output in outputs]
    found = fold.requests(subject, events)
    np.testing.assert_array_equal(found.score, [0.7, 0.7, 0.0, math.nan, math.nan])
    np.testing.assert_array_equal(found.category, [1, 2, 0, 3, 0])  # 3 is none of them
    plain = fold.requests(live(), events)
    assert np.isnan(plain.score).all()
    assert (plain.category == -1).all()


def test_gather_of_no_events_adds_nothing() -> None:
    for subject in PLANS.values():
        found = gather([], subject)
        assert found == Gathered(Evidence({}), UNSEEN)
        assert found.watch is UNSEEN  # so that nothing is written


ANYTHING = st.one_of(
    st.floats(),
    st.sampled_from([1e308, -1e308, 5e-324, 10**400, -(10**400), "1e999", "x", True]),
    st.integers(-(2**63), 2**64 - 1),
    st.text(max_size=8),
)


@given(answer=ANYTHING, other=ANYTHING, truth=ANYTHING, worth=st.floats(), numbers=st.booleans())
def test_gather_and_mature_take_whatever_can_be_sent(
    answer: Answer, other: Answer, truth: Answer, worth: float, numbers: bool
) -> None:
    basis = NUMBERS if numbers else samples.BASIS
    plan = samples.full_plan(basis, clone=0.5)
    subject = samples.deployment(basis=basis, plan=plan)
    drawn = assigned()
    told = (b"p1", truth, 1_000, drawn, "1.1.0", Output(answer))
    found = gather(
        [
            (b"p1", answered(drawn, output=Output(answer))),
            (b"p2", shadowed(Output(other), Output(answer))),
            (b"p3", Label(2_000, *told)),
            (b"p4", Value(2_000, b"p1", worth, 1_000, drawn, "1.1.0")),
        ],
        subject,
    )
    for kind, waiting in ((LABEL, found.labels), (VALUE, found.values)):
        for _, facts in waiting.asked.values():
            for outcome in (truth,) if kind == LABEL else (worth,):
                levels = [sight.level for sight in mature(plan, kind, facts, outcome)]
                assert all(0 <= level <= 2 * ev.LOSS_STEPS for level in levels)
    assert found.evidence.total(Measure.ERROR) == 1


def test_gather_counts_an_entity_in_the_soak_that_was_mirrored_before() -> None:
    subject = live(unit="entity")
    steps = len(subject.plan.steps)
    soak = assigned(Arm.CHAMPION, share=0.0, unit=5, step=steps)
    mirrored = shadowed(Output(0), Output(1), unit=5, request=b"s1")
    soaked = Shadow(9, b"s2", soak, "1.0.0", Output(1), Output(0), 9)
    events: Records = [(b"s1", mirrored), (b"s2", soaked), (b"s3", soaked)]
    first = gather(events, subject)
    assert first.evidence.total(Measure.PAIR_ERROR) == 2
    assert len(first.units) == 2
    found, _ = fold.sort(events, {subject.id: subject})
    assert fold.units_of(subject, found[subject.id]) == set(first.units)
    assert gather(events, subject, known=first.units).evidence.total(Measure.PAIR_ERROR) == 0
