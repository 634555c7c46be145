import math

import pytest
from tests.serving import samples

from serinus.serving.defaults import fitting


@pytest.mark.parametrize(
    ("classes", "given", "fits"),
    [
        ((0, 1), 1, 1),
        ((0, 1), 1.0, 1),
        ((0, 1), True, None),
        ((True, False), True, True),
        ((True, False), 1, None),
        (("no", "yes"), "yes", "yes"),
        (("no", "yes"), "maybe", None),
        ((), "anything", "anything"),
    ],
    ids=str,
)
def test_fitting_default_of_classes_is_one_of_them(classes, given, fits):
    found = fitting(samples.number_manifest(classes=classes), given)
    assert (found, type(found)) == (fits, type(fits))


@pytest.mark.parametrize(
    ("given", "fits"), [(3, 3.0), (0.5, 0.5), (True, None), ("3", None), (math.nan, None)], ids=str
)
def test_fitting_default_of_a_regression_is_a_finite_number(given, fits):
    found = fitting(samples.number_manifest(task="regression", classes=()), given)
    assert (found, type(found)) == (fits, type(fits))
