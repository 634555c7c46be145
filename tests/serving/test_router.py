from hypothesis import given
from hypothesis import strategies as st

from serinus.serving.router import RandomKeys, Router, position, threshold, unit_of
from serinus.wire import Arm, Route, Target

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


@given(st.text())
def test_unit_fits_a_signed_column_and_is_never_zero(entity):
    assert unit_of(entity) != 0
    assert -(2**63) <= unit_of(entity) < 2**63


def test_random_keys_are_all_different():
    keys = RandomKeys(keys_per_block=7)
    made = [keys() for _ in range(1_000)]
    assert len(set(made)) == 1_000
    assert {len(key) for key in made} == {16}
