from __future__ import annotations

from functools import partial

import numpy as np

from serinus.proof import judging, ratio, runner
from serinus.proof.runner import Runner


def draw(rng: np.random.Generator):
    """A trial that shows what it drew from."""
    return rng.random(3)


def test_run_depends_on_seed_name_and_number_alone():
    with Runner(7, processes=0) as here:
        found = here.run(draw, 25, name="trial")
        assert found.shape == (25, 3)
        assert len(np.unique(found)) == 75
        # Any run can be repeated alone.
        np.testing.assert_array_equal(found[13], draw(runner.generator(7, "trial", 13)))
        np.testing.assert_array_equal(here.run(draw, 12, name="trial"), found[:12])
        assert not np.isin(here.run(draw, 25, name="other"), found).any()
    with Runner(8, processes=0) as other:
        assert not np.isin(other.run(draw, 25, name="trial"), found).any()


def test_any_number_of_processes_gives_the_same():
    trial = partial(ratio.one_run, judging.default_plan(), 0.05, 1_000)
    told = []
    with Runner(7, processes=0) as here:
        expected = here.run(trial, 35, name="trial")
    with Runner(7, processes=2, progress=lambda *news: told.append(news)) as pool:
        np.testing.assert_array_equal(pool.run(trial, 35, name="trial"), expected)
    assert told[0] == ("trial", 0, 35)
    assert told[-1] == ("trial", 35, 35)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
