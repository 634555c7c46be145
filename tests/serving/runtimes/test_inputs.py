import pytest

from serinus.errors import InvalidInput
from serinus.serving.runtimes import inputs
from serinus.wire import Field

A, B, C = Field("a", "double", required=True), Field("b", "string"), Field("c", "long")


def test_union_of_the_same_inputs_projects_nothing():
    assert inputs.union((A, B), (A, B)) == (A, B)
    assert inputs.projection((A, B), (A, B)) is None


def test_union_adds_what_only_the_challenger_takes_and_requires_none_of_it():
    required = Field("c", "long", required=True)
    every = inputs.union((A, B), (required, A))
    assert every == (A, B, C)
    assert inputs.projection(every, (A, B)) == (0, 1)
    assert inputs.projection(every, (required, A)) == (2, 0)


def test_union_of_two_types_is_refused():
    with pytest.raises(InvalidInput) as caught:
        inputs.union((A,), (Field("a", "string"),))
    assert caught.value.where == "a"
