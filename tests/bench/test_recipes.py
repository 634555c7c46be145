import subprocess
import sys

import joblib
import numpy as np
import pytest

from serinus.bench import recipes


def test_training_has_both_classes_and_follows_the_seed():
    rows, classes = recipes.training(3)
    assert rows.shape == (recipes.TRAINED_ON, recipes.FEATURES)
    assert 0.3 < classes.mean() < 0.7
    assert np.array_equal(rows, recipes.training(3)[0])
    assert not np.array_equal(rows, recipes.training(4)[0])


def test_asked_rows_are_all_different():
    rows = recipes.asked()
    assert len({tuple(row) for row in rows.tolist()}) == recipes.ROWS


@pytest.mark.parametrize("kind", recipes.KINDS)
def test_fit_learns(kind):
    rows, classes = recipes.training()
    model = recipes.fit(kind)
    assert (model.predict(rows[:500]) == classes[:500]).mean() > 0.8


def test_recipes_run_as_a_program_of_another_environment(tmp_path):
    # -I: nothing of Serinus can be imported by accident of the folder it is started in.
    command = [sys.executable, "-I", recipes.__file__, "logistic", str(tmp_path), "--named"]
    subprocess.run(command, check=True, timeout=60)
    model = joblib.load(tmp_path / "model.joblib")
    assert list(model.feature_names_in_) == list(recipes.NAMES)
    ours = recipes.fit("logistic").predict(recipes.asked())
    assert np.array_equal(model[1].predict(model[0].transform(_named())), ours)


def _named():
    import pandas as pd

    return pd.DataFrame(recipes.asked(), columns=recipes.NAMES)
