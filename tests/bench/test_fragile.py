import numpy as np
import pandas as pd
import pytest

from serinus.bench import fragile
from serinus.bench.fragile import Fragile


def test_fragile_fails_only_at_what_is_extreme():
    usual, extreme = ({fragile.FEATURE: [value]} for value in (1.0, 2 * fragile.EXTREME))
    weak = Fragile(robust=False)
    assert np.array_equal(weak.predict(pd.DataFrame(usual)), [1])
    with pytest.raises(ValueError, match="too much"):
        weak.predict(pd.DataFrame(extreme))
    assert np.array_equal(Fragile(robust=True).predict(pd.DataFrame(extreme)), [1])
