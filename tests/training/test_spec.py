from __future__ import annotations

import json

import pytest

from serinus.errors import InvalidInput
from serinus.training import spec as specs
from serinus.training.spec import TrainingSpec


def test_to_dict_and_back_through_json() -> None:
    spec = TrainingSpec(
        model="m",
        data="d.csv",
        target="t",
        params={"max_depth": 3},
        exclude=("a",),
        features=("b", "c"),
        split="time",
        time_column="at",
        tags={"k": "v"},
    )

    assert specs.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"model": "m", "data": "d", "target": "t", "colour": 1}, "unknown fields: colour"),
        ({"model": "m", "data": "d"}, "target"),
        ({"model": "m", "data": "d", "target": "t", "seed": "x"}, "seed"),
        ({"model": "m", "data": "d", "target": "t", "split": "magic"}, "split"),
    ],
)
def test_from_dict_refuses_and_names_the_field(document: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        specs.from_dict(document)


def test_check_lists_every_fault() -> None:
    spec = TrainingSpec(
        model="../x", data="d", target="t", version="1", test_size=1.5, split="time", seed=-1
    )
    with pytest.raises(InvalidInput) as caught:
        specs.check(spec)

    assert [fault.split(":")[0] for fault in caught.value.faults] == [
        "model",
        "version",
        "test_size",
        "time_column",
        "seed",
    ]


@pytest.mark.parametrize(
    ("changes", "task", "dealt"),
    [
        ({}, "classification", ("stratified", "t")),
        ({}, "regression", ("random", "")),
        ({"time_column": "at"}, "classification", ("time", "at")),
        ({"group_column": "who"}, "regression", ("grouped", "who")),
        ({"split": "random", "time_column": "at"}, "regression", ("random", "")),
    ],
)
def test_dealing_follows_what_is_named(
    changes: dict[str, str], task: str, dealt: tuple[str, str]
) -> None:
    assert TrainingSpec(model="m", data="d", target="t", **changes).dealing(task) == dealt
