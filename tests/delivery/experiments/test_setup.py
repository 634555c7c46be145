"""What is fixed at the beginning: the covariate's place, and groups cut from the profile."""

from __future__ import annotations

import numpy as np
import pytest

from serinus.delivery.experiments import setup
from serinus.errors import InvalidInput
from serinus.stats.bins import reference_profile
from serinus.wire import Field, Manifest

MANIFEST = Manifest(
    "fraud",
    "classification",
    (Field("kind", "string"), Field("amount", "double"), Field("age", "long")),
    "is_fraud",
    (0, 1),
)
PROFILE = reference_profile(
    {
        "kind": ["a"] * 60 + ["b"] * 40,
        "amount": np.linspace(0, 100, 100),
        "age": np.full(100, np.nan),
    },
    np.linspace(0, 1, 100),
)


def test_setup_has_the_covariate_first_and_quarters_of_the_profile() -> None:
    found = setup.make(MANIFEST, PROFILE, "amount")
    assert found.covariate == 1
    amount, kind = found.groupings
    assert (amount.feature, kind.feature) == ("amount", "kind")
    assert amount.cuts == pytest.approx((25, 50, 75), abs=2)
    assert kind.categories == ("a", "b")


def test_setup_without_a_profile_has_no_groups() -> None:
    assert setup.make(MANIFEST, {}, None).groupings == ()


@pytest.mark.parametrize("name", ["kind", "weight"], ids=["text", "unknown"])
def test_covariate_must_be_an_input_of_numbers(name: str) -> None:
    with pytest.raises(InvalidInput, match="those are amount, age"):
        setup.make(MANIFEST, PROFILE, name)


def test_origin_of_a_covariate_is_the_median_of_its_profile() -> None:
    assert setup.origin(MANIFEST, PROFILE, 1) == pytest.approx(50, abs=2)
    assert setup.origin(MANIFEST, PROFILE, 2) is None
    assert setup.origin(MANIFEST, {}, 1) is None
    assert setup.origin(MANIFEST, PROFILE, None) is None
