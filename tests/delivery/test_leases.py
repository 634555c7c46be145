"""The controller's lease: one holder at a time, and no write by one that was deposed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from serinus import clock
from serinus.delivery import leases
from serinus.delivery.leases import Deposed, Lease
from serinus.store import schema

ELSEWHERE = "another-machine 17 42"


@dataclass
class Hands:
    """A clock that is moved by hand."""

    at: float = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    found = Hands()
    monkeypatch.setattr(clock, "monotonic", found)
    return found


def test_lease_has_one_holder_until_it_is_given_up(engine: Engine) -> None:
    one, other = Lease(engine, 3.0), Lease(engine, 3.0)
    assert one.take()
    assert not other.take()
    assert one.take()
    one.release()
    assert other.take()
    assert other.token == 2
    assert not one.take()


def test_lease_that_is_renewed_is_never_taken(engine: Engine, hands: Hands) -> None:
    one = Lease(engine, 3.0, holder=ELSEWHERE)
    other = Lease(engine, 3.0)
    assert one.take()
    for _ in range(20):
        hands.at += 1.1
        assert one.take()
        assert not other.take()


def test_lease_runs_out_after_its_length_and_fences_off_its_holder(
    engine: Engine, hands: Hands
) -> None:
    one = Lease(engine, 3.0, holder=ELSEWHERE)
    other = Lease(engine, 3.0)
    assert one.take()
    assert not other.take()
    hands.at += 2.9
    assert not other.take()
    hands.at += 0.2
    assert other.take()
    with engine.begin() as connection, pytest.raises(Deposed, match="since token 1"):
        one.guard(connection)
    assert one.token is None
    with engine.begin() as connection:
        other.guard(connection)


def test_who_stands_still_as_it_renews_the_lease_holds_nobody_up(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer: nobody can end the transaction of one that stands")
    one = Lease(engine, 0.3, holder=ELSEWHERE)
    other = Lease(engine, 0.3)
    assert one.take()
    assert not other.take()
    write = Lease._write
    stood: list[bool] = []

    def stand(lease: Lease, connection: Connection, found: leases._Held | None) -> int | None:
        written = write(lease, connection, found)
        if lease is one and not stood:
            clock.sleep(0.4)
            stood.append(other.take())
        return written

    monkeypatch.setattr(Lease, "_write", stand)
    clock.sleep(0.15)
    with pytest.raises(DBAPIError, match="idle"):
        one.take()
    assert stood == [True]


def test_lease_of_a_process_that_died_here_is_taken_at_once(engine: Engine) -> None:
    code = "from serinus.delivery import leases; print(leases.myself(), flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    name = child.stdout.readline().strip()
    with engine.begin() as connection:
        values = {"name": "controller", "holder": name, "token": 7, "until": clock.now()}
        connection.execute(insert(schema.leases).values(**values))
    lease = Lease(engine, 3.0)
    assert not leases.is_gone(name)
    assert not lease.take()
    child.kill()
    # Not waited for yet: what is left of it in the kernel's table holds nothing.
    deadline = clock.monotonic() + 10
    while not leases.is_gone(name):
        assert clock.monotonic() < deadline
        clock.sleep(0.005)
    assert lease.take()
    assert lease.token == 8
    child.communicate()


@pytest.mark.parametrize("name", [ELSEWHERE, "", "nonsense", " 1 2 3"])
def test_is_gone_says_nothing_of_other_machines(name: str) -> None:
    assert not leases.is_gone(name)


def test_is_gone_knows_a_process_that_got_the_number_of_another() -> None:
    machine, pid, begun, _ = leases.myself().split()
    assert not leases.is_gone(f"{machine} {pid} {begun} x")
    assert leases.is_gone(f"{machine} {pid} {int(begun) - 1} x")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moves=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["take", "write", "rest", "release"])),
        max_size=40,
    )
)
def test_lease_never_lets_two_write_under_one_token(
    moves: list[tuple[int, str]], hands: Hands
) -> None:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    schema.leases.create(engine)
    contenders = [Lease(engine, 3.0, holder=f"elsewhere {number}") for number in range(3)]
    written: list[tuple[int, int]] = []
    for who, what in moves:
        lease = contenders[who]
        if what == "take":
            lease.take()
        elif what == "rest":
            hands.at += 1.3
        elif what == "release":
            lease.release()
        elif lease.token is not None:
            try:
                with engine.begin() as connection:
                    token = lease.token
                    lease.guard(connection)
                    written.append((token, who))
            except Deposed:
                assert lease.token is None
    # Tokens only rise, and each was one contender's alone.
    assert written == sorted(written, key=lambda item: item[0])
    assert len({token for token, _ in written}) == len(set(written))
    with engine.begin() as connection:
        assert len(connection.execute(select(schema.leases)).all()) <= 1
    engine.dispose()
