import platform

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.errors import InvalidInput
from serinus.registry import needs
from serinus.registry.needs import Wanted

PRESENT = {"pandas": "3.1.1", "mlflow": "3.17.2", "scikit-learn": "1.7.2"}
PYFUNC = {"flavors": {"python_function": {}}, "mlflow_version": "3.1.0"}
ESTIMATOR = {"flavors": {"python_function": {}, "sklearn": {}}, "mlflow_version": "3.1.0"}


def unmet(*lines: str, python: str = "3.11") -> list[str]:
    return needs.unmet(Wanted(python, lines), "3.11.7", PRESENT)


def test_wanted_is_read_from_what_mlflow_writes(tmp_path):
    (tmp_path / "requirements.txt").write_text(
        "mlflow==3.1.0\n\n# by hand\nxgboost==2.0  # old\n-c constraints.txt\n"
    )
    (tmp_path / "constraints.txt").write_text("numpy<2\n")
    (tmp_path / "python_env.yaml").write_text("python: 3.10.13\n")
    asked = needs.wanted(tmp_path)
    assert asked == Wanted("3.10", ("mlflow==3.1.0", "xgboost==2.0"), ("numpy<2",))


@pytest.mark.parametrize("text", [None, "", "- a list", "python: [", "other: 1"])
def test_wanted_without_a_python_is_the_present_one(tmp_path, text):
    (tmp_path / "requirements.txt").write_text("pandas\n")
    if text is not None:
        (tmp_path / "python_env.yaml").write_text(text)
    assert platform.python_version().startswith(needs.wanted(tmp_path).python + ".")


@pytest.mark.parametrize("text", [None, "", "# nothing\n"])
def test_wanted_of_a_model_that_says_nothing(tmp_path, text):
    if text is not None:
        (tmp_path / "requirements.txt").write_text(text)
    with pytest.raises(InvalidInput) as caught:
        needs.wanted(tmp_path)
    assert "pip_requirements" in caught.value.remedy


def test_installed_packages_are_those_of_this_process():
    import pandas as pd

    assert needs.installed()["pandas"] == pd.__version__
    assert "scikit-learn" in needs.installed()


def test_unmet_lists_what_differs():
    assert unmet("pandas==3.1.1", "scikit_learn>=1.7", "pandas", "--prefer-binary") == []
    assert unmet("pandas==2.2.0", "xgboost", python="3.10") == [
        "python 3.10 (present: 3.11.7)",
        "pandas==2.2.0 (present: 3.1.1)",
        "xgboost (absent)",
    ]


def test_unmet_is_not_whatever_is_for_other_machines():
    assert unmet('xgboost==1; sys_platform == "win32"', 'pandas; python_version >= "3"') == []


def test_unmet_is_mlflow_of_another_age_only():
    assert unmet("mlflow==3.1.0") == []
    assert unmet("mlflow==2.9.0") == ["mlflow==2.9.0 (present: 3.17.2)"]
    assert unmet("mlflow") == []


def test_unmet_is_what_cannot_be_compared():
    (told,) = unmet("pandas @ https://example.org/pandas.whl")
    assert told.endswith("https://example.org/pandas.whl (cannot be compared)")
    assert unmet("./local.whl") == ["./local.whl (cannot be compared)"]


def test_leanest_environment_of_a_model_that_only_mlflow_loads():
    asked = Wanted("3.11", ("mlflow[extras]==3.2", "pandas==2.3.0", "xgboost"), ("numpy<2",))
    assert needs.leanest(asked, PYFUNC) == [
        Wanted(
            "3.11",
            ("pandas==2.3.0", "xgboost", "cloudpickle", "numpy", "mlflow-skinny==3.2"),
            ("numpy<2",),
        ),
        Wanted("3.11", ("mlflow[extras]==3.2", "pandas==2.3.0", "xgboost"), ("numpy<2",)),
    ]


def test_leanest_environment_of_an_estimator_is_without_mlflow():
    asked = Wanted("3.11", ("mlflow==3.2", "scikit-learn==1.5"))
    first = needs.leanest(asked, ESTIMATOR)[0]
    assert first.requirements == ("scikit-learn==1.5", "cloudpickle", "numpy", "pandas")
    assert len(needs.leanest(asked, ESTIMATOR)) == 3


def test_leanest_environment_of_a_model_that_does_not_name_mlflow():
    tried = needs.leanest(Wanted("3.11", ("pandas",)), PYFUNC)
    assert "mlflow-skinny==3.1.0" in tried[0].requirements
    assert tried[1].requirements[0] == "mlflow==3.1.0"


@given(st.lists(st.sampled_from(["a==1", "b", "c<3"]), unique=True), st.randoms())
def test_digest_is_the_same_in_any_order(lines, random):
    mixed = list(lines)
    random.shuffle(mixed)
    assert Wanted("3.11", tuple(mixed)).digest == Wanted("3.11", tuple(lines)).digest


def test_digest_tells_what_differs():
    asked = [
        Wanted("3.11", ("a", "b")),
        Wanted("3.12", ("a", "b")),
        Wanted("3.11", ("a",)),
        Wanted("3.11", ("a",), ("b",)),
    ]
    assert len({one.digest for one in asked}) == len(asked)


@pytest.mark.parametrize("flavor", ["sklearn", "xgboost", "lightgbm"])
def test_estimators_are_what_is_loaded_without_mlflow(flavor):
    assert needs.is_estimator({"flavors": {flavor: {}, "python_function": {}}})
    assert not needs.is_estimator({"flavors": {flavor: {}, "python_function": {"code": "code"}}})
    assert not needs.is_estimator({"flavors": {"python_function": {}}})
