from __future__ import annotations

from serinus.ledger import ids
from serinus.ledger.types import Offset
from serinus.stress import accounts
from serinus.wire import Arm, Assignment, Failure, Label, Output, Prediction

OUTPUT = Output(1.0)


def given(arm: Arm = Arm.CHAMPION, share: float = 0.3, deployment: str = "d") -> Assignment:
    return Assignment("m", arm, share, 1, deployment)


def prediction(assignment: Assignment) -> Prediction:
    return Prediction(1, assignment, "1.0.0", (1.0,), OUTPUT, 5)


def id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def label(number: int) -> Label:
    return Label(2, id(number), 1.0, 1, given(), "1.0.0", OUTPUT)


def test_balance_counts_what_is_evidence() -> None:
    books = accounts.balance(
        [
            (id(1), prediction(given())),
            (id(2), prediction(given(Arm.CHALLENGER))),
            (id(3), Failure(1, given(Arm.CHALLENGER), "1.1.0", "x", 5)),
            (id(4), prediction(given(share=0.0))),
            (id(5), prediction(given(deployment=""))),
            (id(6), label(1)),
            (id(7), label(1)),
        ]
    )
    assert books.requests == {"d": {Arm.CHAMPION: 1, Arm.CHALLENGER: 2}}
    assert len(books.predictions) == 4
    assert books.told == {"d": 2}
    assert accounts.missing([ids.encode(id(1)), ids.encode(id(9))], books) == {ids.encode(id(9))}
    assert accounts.unlabelled([ids.encode(id(1)), "f" * 32], books) == {"f" * 32}


def test_learnt_is_what_was_read_before_a_deployment_ended() -> None:
    def at(writer: int, segment: int, offset: int) -> bytes:
        return ids.pack(bytes([0, 0, 0, writer]), segment, offset, 0)

    records = [
        (at(1, 0, 0), prediction(given())),
        (at(1, 1, 50), prediction(given(Arm.CHALLENGER))),
        (at(1, 1, 100), prediction(given())),
        (at(2, 9, 0), prediction(given())),
        (at(3, 0, 0), prediction(given(deployment="other"))),
        (at(3, 0, 50), prediction(given(deployment="live"))),
        (at(1, 0, 10), prediction(given(share=0.0))),
        (at(1, 0, 20), label(1)),
    ]
    ends = {"d": {"00000001": Offset(1, 100)}, "other": {"00000003": Offset(0, 50)}, "none": {}}
    assert accounts.learnt(records, ends) == {
        "d": {Arm.CHAMPION: 1, Arm.CHALLENGER: 1},
        "other": {Arm.CHAMPION: 1},
        "none": {},
    }


def test_excess_is_told_by_key() -> None:
    assert accounts.excess({"a": 3, "b": 1}, {"a": 1, "b": 5}) == 2
    assert accounts.excess({}, {"a": 1}) == 0
