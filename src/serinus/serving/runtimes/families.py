"""What is known of libraries' own estimators. Only the standard library: a child reads it, too."""

from __future__ import annotations

from typing import Any

ARGMAX = frozenset(
    {
        "DecisionTreeClassifier",
        "ExtraTreesClassifier",
        "GradientBoostingClassifier",
        "HistGradientBoostingClassifier",
        "LGBMClassifier",
        "LogisticRegression",
        "MLPClassifier",
        "RandomForestClassifier",
        "XGBClassifier",
    }
)
"""Their predict() is the class of the highest of predict_proba(), so one call gives both."""

_LIBRARIES = frozenset({"lightgbm", "sklearn", "xgboost"})


def highest_decides(model: Any) -> bool:
    """Whether a classifier's answer is known to be the class with the highest probability."""
    last = steps_of(model)[-1]
    votes = type(last).__name__ == "VotingClassifier" and last.voting == "soft"
    return is_from_library(last) and (votes or type(last).__name__ in ARGMAX)


def steps_of(model: Any) -> list[Any]:
    """The steps of a pipeline, those of pipelines in it included; a lone model is one step."""
    steps = getattr(model, "steps", None)
    if not isinstance(steps, list):
        return [model]
    return [part for _, step in steps for part in steps_of(step)]


def is_from_library(step: Any) -> bool:
    """Whether an estimator, or a step, is a library's own class."""
    return step == "passthrough" or type(step).__module__.split(".")[0] in _LIBRARIES


def on_one_thread(model: Any) -> Any:
    """Keep a model from starting threads for every request: a worker is meant for one core."""
    try:
        parameters = model.get_params(deep=True)
    except (AttributeError, TypeError):
        return model
    wide = {
        name: 1
        for name, value in parameters.items()
        if name.split("__")[-1] == "n_jobs" and value not in (None, 1)
    }
    return model.set_params(**wide) if wide else model
