"""Joining what belongs to one request, in whatever order it comes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.delivery import samples
from tests.delivery.samples import answered, assigned
from tests.delivery.shadows import traffic

from serinus.delivery.shadows.joining import Joiner, Recent
from serinus.delivery.types import DeploymentSpec
from serinus.delivery.verdicts.evidence import SOAK
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.writer import Writer
from serinus.wire import Answer, Arm, Event, Label, Output, Shadow

SUBJECT = samples.deployment(DeploymentSpec(model="fraud", challenger="1.1.0", disagreement=0.3))
SOAKING = len(SUBJECT.plan.steps)
Records = list[tuple[bytes, Event]]


def request(identity: bytes, *, flips: bool, noisy: bool, truth: Answer) -> Records:
    """A request's prediction, pair, clone and label."""
    mirrored, cloned = assigned(Arm.SHADOW, step=0), assigned(Arm.CLONE, step=0)
    first = answered(assigned(Arm.CHAMPION, share=0.0, step=0), version="1.0.0", output=Output(0))
    name = b"e" + identity
    return [
        (identity, first),
        (name + b"s", Shadow(5, identity, mirrored, "1.1.0", Output(0), Output(int(flips)), 7)),
        (name + b"c", Shadow(6, identity, cloned, "1.0.0", Output(0), Output(int(noisy)), 8)),
        (name + b"l", Label(9, identity, truth, 1, mirrored, "1.0.0", Output(0))),
    ]


def joined(parts: list[Records], skipped: int = 0) -> tuple[Counter[object], ...]:
    joiner = Joiner(SUBJECT, skipped)
    found = [joiner.join(part) for part in parts]
    return (
        Counter((pair.prediction, pair.differs) for one in found for pair in one.pairs),
        Counter(pair for one in found for pair in one.clones),
        Counter(pair for one in found for pair in one.labels),
    )


@given(
    data=st.data(),
    asked=st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 1)), max_size=8),
)
def test_join_in_any_order_and_batches_gives_the_same(
    data: st.DataObject, asked: list[tuple[bool, bool, int]]
) -> None:
    records = [
        record
        for number, (flips, noisy, truth) in enumerate(asked)
        for record in request(bytes([number]), flips=flips, noisy=noisy, truth=truth)
    ]
    mixed: list[Records] = [[]]
    for record in data.draw(st.permutations(records)):
        if data.draw(st.booleans()):
            mixed.append([])
        mixed[-1].append(record)
    pairs, clones, labels = joined(mixed)
    assert (pairs, clones, labels) == joined([records])
    assert pairs == Counter((bytes([n]), flips) for n, (flips, _, _) in enumerate(asked))
    assert clones == Counter((flips, noisy) for flips, noisy, _ in asked)
    assert labels == Counter((0, int(flips), truth) for flips, _, truth in asked)


def test_join_gives_a_pair_its_features_and_forgets_them() -> None:
    records = request(b"p", flips=True, noisy=False, truth=1)
    joiner = Joiner(SUBJECT)
    (pair,) = joiner.join(records).pairs
    assert (pair.features, pair.champion_us, pair.shadow_us) == ((1.0,), 500, 7)
    (again,) = joiner.join(records[1:2]).pairs
    assert again.features is None


def test_join_passes_over_the_oldest_pairs() -> None:
    records = [
        record
        for number in range(5)
        for record in request(bytes([number]), flips=False, noisy=False, truth=0)
    ]
    pairs, clones, labels = joined([records], skipped=3)
    assert set(pairs) == {(bytes([3]), False), (bytes([4]), False)}
    assert (clones.total(), labels.total()) == (2, 2)


def test_join_turns_pairs_of_the_soak_and_passes_over_other_steps() -> None:
    of_soak = assigned(Arm.SHADOW, step=SOAKING)
    turned = Shadow(5, b"p", of_soak, "1.0.0", None, Output(1), 7)
    stranger = Shadow(5, b"q", assigned(Arm.SHADOW, deployment="d2"), "1.1.0", None, None, 7)
    live = answered(assigned(step=1))
    found = Joiner(SUBJECT).join([(b"1", turned), (b"2", stranger), (b"3", live)])
    (pair,) = found.pairs
    assert (pair.pair.share, pair.pair.challenger, pair.differs) == (SOAK, None, None)


def test_recent_keeps_no_more_than_it_may() -> None:
    kept: Recent[int] = Recent(3)
    for number in range(10):
        kept.keep(bytes([number]), number)
    assert [kept.take(bytes([n])) for n in range(10)] == [None] * 7 + [7, 8, 9]
    kept.keep(b"a", 1)
    kept.keep(b"a", 2)
    assert (kept.take(b"a"), kept.take(b"a")) == (1, None)


def test_join_of_a_ledger_finds_every_request(tmp_path: Path) -> None:
    writer = Writer(tmp_path, segment_bytes=1_000_000, sync="os")
    traffic.write(writer, 500, clone=0.5, labelled=0.5, failing=0.0, batch=100)
    found = Joiner(SUBJECT).join(Reader(tmp_path).read({}, 5_000).records)
    assert len(found.pairs) == 500
    assert all(pair.features is not None for pair in found.pairs)
    assert 180 < len(found.clones) < 320
    assert 180 < len(found.labels) < 320
