from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from serinus.serving.asking.router import RandomKeys, Router, position, threshold, unit_of
from serinus.wire import FORCED, Arm, Route, Target, Variant

shares = st.floats(0.0, 1.0)


def router(share, *, unit="entity", salt="s", random_key=lambda: b"key", challenger=True):
    route = Route(
        model="m",
        champion=Target("1", "a"),
        challenger=Target("2", "b") if challenger else None,
        share=share,
        unit=unit,
        salt=salt,
        deployment="d",
        step=2,
    )
    return Router(route, 9, random_key)


@given(st.text(), st.text(min_size=1), shares)
def test_router_is_sticky_whoever_asks(salt, entity, share):
    one, other = router(share, salt=salt), router(share, salt=salt)
    assert one.assign(entity) == other.assign(entity) == one.assign(entity)


@given(st.text(), st.text(min_size=1), shares, shares)
def test_router_moves_nobody_out_when_the_share_rises(salt, entity, one, other):
    low, high = sorted((one, other))
    if router(low, salt=salt).assign(entity).arm is Arm.CHALLENGER:
        assert router(high, salt=salt).assign(entity).arm is Arm.CHALLENGER


@given(shares)
def test_threshold_is_the_share_of_all_positions(share):
    assert 0 <= threshold(share) <= 2**64
    assert abs(threshold(share) / 2**64 - share) < 1e-12


@given(st.binary(), st.binary())
def test_position_is_one_of_all_positions(salt, key):
    assert 0 <= position(salt, key) < 2**64


def test_router_of_share_one_and_zero():
    assert all(router(1.0).assign(str(n)).arm is Arm.CHALLENGER for n in range(500))
    assert all(router(0.0).assign(str(n)).arm is Arm.CHAMPION for n in range(500))


def test_router_keeps_the_share():
    count = 20_000
    half = router(0.1)
    taken = sum(half.assign(f"e{n}").arm is Arm.CHALLENGER for n in range(count))
    # Five standard deviations of a binomial: wrong once in two million salts.
    assert abs(taken - 0.1 * count) < 5 * (count * 0.09) ** 0.5


WIDTHS = st.lists(st.floats(0.0, 0.25), min_size=2, max_size=4)
KEYS = [f"customer-{number}" for number in range(300)]


def places(reserved, shares, *, salt="s"):
    """Who gets each of KEYS: 0, 1, ... for the challengers, None for the champion."""
    starts = [sum(reserved[:place]) for place in range(len(reserved))]
    targets = [Target(str(place + 2), "-") for place in range(len(reserved))]
    others = tuple(map(Variant, targets[1:], starts[1:], shares[1:]))
    made = Route("m", Target("1", "-"), targets[0], shares[0], unit="entity", salt=salt)
    several = Router(msgspec.structs.replace(made, others=others), 1, lambda: b"")
    drawn = [several.assign(key) for key in KEYS]
    return [None if one.arm is Arm.CHAMPION else one.variant for one in drawn]


@given(WIDTHS, st.data(), st.text(max_size=8))
def test_router_moves_nobody_out_of_any_challenger_when_shares_rise(reserved, data, salt):
    before = [data.draw(st.floats(0.0, width)) for width in reserved]
    after = [data.draw(st.floats(low, width)) for low, width in zip(before, reserved, strict=True)]
    pairs = zip(
        places(reserved, before, salt=salt), places(reserved, after, salt=salt), strict=True
    )
    assert all(old in (None, new) for old, new in pairs)


@given(WIDTHS, st.data(), st.text(max_size=8))
def test_router_dropping_a_challenger_moves_its_own_keys_to_the_champion(reserved, data, salt):
    dropped = data.draw(st.integers(0, len(reserved) - 1))
    fewer = [0.0 if place == dropped else width for place, width in enumerate(reserved)]
    before, after = (places(reserved, shares, salt=salt) for shares in (reserved, fewer))
    assert after == [None if place == dropped else place for place in before]


@given(WIDTHS)
def test_router_parts_the_positions_by_the_shares_exactly(reserved):
    starts = [sum(reserved[:place]) for place in range(len(reserved))]
    ends = [start + share for start, share in zip(starts, reserved, strict=True)]
    widths = [threshold(end) - threshold(start) for start, end in zip(starts, ends, strict=True)]
    assert all(abs(n / 2**64 - w) < 1e-12 for n, w in zip(widths, reserved, strict=True))
    # Neighbours meet, so that no position belongs to two or, but for the champion's, to none.
    assert [threshold(end) for end in ends[:-1]] == [threshold(start) for start in starts[1:]]


def several(*shares, unit="request", random_key=lambda: b"key"):
    others = tuple(
        Variant(Target(str(place), "-"), place * 0.25, share)
        for place, share in enumerate(shares[1:], 1)
    )
    route = Route("m", Target("1", "-"), Target("0", "-"), shares[0], unit=unit, deployment="d")
    return Router(msgspec.structs.replace(route, others=others), 9, random_key)


def test_router_of_several_names_all_shares_and_the_place_that_was_drawn():
    random = several(0.25, 0.25, 0.25, random_key=RandomKeys())
    drawn = [random.assign(None) for _ in range(400)]
    assert {one.shares for one in drawn} == {(0.25, 0.25, 0.25)}
    assert {one.share for one in drawn} == {0.75}
    by_place = Counter((one.arm, one.variant) for one in drawn)
    assert set(by_place) == {(Arm.CHAMPION, 0), *((Arm.CHALLENGER, place) for place in range(3))}
    assert min(by_place.values()) > 50


def test_router_of_one_challenger_names_no_shares():
    assigned = router(0.25).assign("e")
    assert (assigned.variant, assigned.shares) == (0, ())


def test_router_without_one_of_several_says_so_in_its_shares():
    full = several(0.25, 0.25, 0.25, unit="entity")
    fewer = full.without(frozenset({1}))
    assert full.without(frozenset({1})) is fewer
    for key in KEYS:
        before, after = full.assign(key), fewer.assign(key)
        assert after.shares == (0.25, 0.0, 0.25)
        moved = before.arm is Arm.CHALLENGER and before.variant == 1
        place = (Arm.CHAMPION, 0) if moved else (before.arm, before.variant)
        assert (after.arm, after.variant) == place


def test_router_by_request_draws_a_new_key_each_time():
    keys = RandomKeys(keys_per_block=3)
    random = router(0.5, unit="request", random_key=keys)
    arms = [random.assign("same entity").arm for _ in range(400)]
    assert 120 < arms.count(Arm.CHALLENGER) < 280
    assert {random.assign("same entity").unit for _ in range(10)} == {0}


def test_router_by_entity_without_one_is_by_request():
    assigned = router(1.0).assign(None)
    assert (assigned.unit, assigned.arm) == (0, Arm.CHALLENGER)


def test_router_names_what_was_in_force():
    assigned = router(0.25).assign("e")
    assert (assigned.model, assigned.share, assigned.revision) == ("m", 0.25, 9)
    assert (assigned.deployment, assigned.step) == ("d", 2)
    assert assigned.unit == unit_of("e") != 0


def test_router_without_a_challenger_has_no_share():
    assigned = router(0.5, challenger=False).assign("e")
    assert (assigned.arm, assigned.share) == (Arm.CHAMPION, 0.0)


def test_router_forced_names_no_deployment():
    assigned = router(0.5).force(Arm.CHALLENGER)
    assert (assigned.arm, assigned.deployment, assigned.unit) == (Arm.CHALLENGER, "", 0)


def test_router_forced_is_told_from_one_that_draws_no_arm():
    """Even where no share is given to anybody, so that they differ in nothing else."""
    lone = router(0.0, challenger=False)
    assert (lone.force(Arm.CHAMPION).step, lone.aside().step) == (FORCED, 0)


@given(st.text())
def test_unit_fits_a_signed_column_and_is_never_zero(entity):
    assert unit_of(entity) != 0
    assert -(2**63) <= unit_of(entity) < 2**63


def test_random_keys_are_all_different():
    keys = RandomKeys(keys_per_block=7)
    made = [keys() for _ in range(1_000)]
    assert len(set(made)) == 1_000
    assert {len(key) for key in made} == {16}
