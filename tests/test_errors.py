"""Errors: each says what, where and what to do, once for people and once for programs."""

from __future__ import annotations

import importlib
import pickle
import pkgutil

import pytest

import serinus
from serinus.errors import Conflict, InvalidInput, NotFound, SerinusError, Unavailable


def every_error() -> list[type[SerinusError]]:
    """All subclasses, wherever they are defined."""
    # The last two need libraries that only their own users install.
    apart = (".__main__", ".migrations.env", ".conversion.keras", ".conversion.torch")
    for module in pkgutil.walk_packages(serinus.__path__, "serinus."):
        if not module.name.endswith(apart) and "migrations.versions" not in module.name:
            importlib.import_module(module.name)
    found: list[type[SerinusError]] = []
    waiting: list[type[SerinusError]] = [SerinusError]
    while waiting:
        error = waiting.pop()
        found.append(error)
        waiting += error.__subclasses__()
    return found


def test_errors_say_what_they_are() -> None:
    for error in every_error():
        assert "__doc__" in vars(error), f"{error.__name__} has no docstring"
        assert str(error.__doc__).strip()
        assert 400 <= error.status < 600
        assert error.exit_code in {1, 2}
        assert error.title


def test_errors_of_the_caller_exit_with_two_and_those_of_the_system_with_one() -> None:
    # What only came at a bad time may come again: 429 and 408 are no fault of what was asked.
    later = {408, 429}
    for error in every_error():
        is_callers = error.status < 500 and error.status not in later
        assert error.exit_code == (2 if is_callers else 1), error.__name__


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SerinusError, 500),
        (InvalidInput, 422),
        (NotFound, 404),
        (Conflict, 409),
        (Unavailable, 503),
    ],
)
def test_problem_is_a_problem_document(error: type[SerinusError], status: int) -> None:
    caught = error("it is so", where="column age", remedy="Do this.", faults=["one", "two"])
    assert caught.problem() == {
        "type": "about:blank",
        "title": error.title,
        "status": status,
        "detail": "it is so",
        "where": "column age",
        "remedy": "Do this.",
        "faults": ["one", "two"],
    }


def test_problem_leaves_out_what_is_empty() -> None:
    assert set(InvalidInput("x").problem()) == {"type", "title", "status", "detail"}


def test_str_tells_place_fact_faults_and_remedy_in_this_order() -> None:
    error = InvalidInput("two things are wrong", where="a.csv", remedy="Fix.", faults=["1", "2"])
    assert str(error) == "a.csv: two things are wrong\n  - 1\n  - 2\nFix."


def test_str_of_a_bare_error_is_the_fact() -> None:
    assert str(NotFound("no such model")) == "no such model"


def test_errors_survive_the_way_between_processes() -> None:
    error = Conflict("busy", where="fraud 1.1.0", remedy="Wait.", faults=["a"])
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is Conflict
    assert found.problem() == error.problem()
