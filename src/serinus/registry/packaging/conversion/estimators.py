"""The trees of scikit-learn, XGBoost and LightGBM, read out of fitted models."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from serinus.registry.packaging.conversion.trees import Ensemble, Tree
from serinus.registry.packaging.types import Unconvertible

_TRANSFORMS = {"HalfBinomialLoss": "LOGISTIC", "HalfMultinomialLoss": "SOFTMAX"}
_IDENTITY = {"HalfSquaredError", "AbsoluteError", "PinballLoss", "HuberLoss"}
_EXPONENTIAL = {"HalfPoissonLoss", "HalfGammaLoss"}


def forest(model: Any) -> Ensemble:
    """Of a decision tree, a random forest or extra trees."""
    members = getattr(model, "estimators_", [model])
    if getattr(model, "n_outputs_", 1) != 1:
        raise Unconvertible("it answers several things at once")
    classes = _classes(model)
    trees = []
    for member in members:
        values = member.tree_.value[:, 0, :]
        if classes:
            values = values / values.sum(axis=1, keepdims=True)
            # Of two classes the second's probability tells the first's.
            values = values[:, 1:] if len(classes) == 2 else values
        trees.append(_sklearn_tree(member.tree_, values / len(members)))
    return Ensemble(trees, "rounded", classes=_at_least_two(classes))


def gradient_boosting(model: Any) -> Ensemble:
    """Of scikit-learn's classic boosted trees."""
    if not (model.init_ == "zero" or type(model.init_).__name__.startswith("Dummy")):
        raise Unconvertible("it begins with another estimator's answer")
    base = model._raw_predict_init(np.zeros((1, model.n_features_in_)))[0]
    trees = [
        _sklearn_tree(
            member.tree_, member.tree_.value[:, 0, :] * model.learning_rate, target=target
        )
        for stage in model.estimators_
        for target, member in enumerate(stage)
    ]
    return Ensemble(
        trees,
        "rounded",
        base=np.asarray(base, dtype=float).tolist(),
        transform=_transform(model._loss),
        classes=_at_least_two(_classes(model)),
    )


def histogram_boosting(model: Any) -> Ensemble:
    """Of scikit-learn's histogram-based boosted trees."""
    if getattr(model, "_preprocessor", None) is not None:
        raise Unconvertible("it has categories of its own")
    trees = []
    for stage in model._predictors:
        for target, member in enumerate(stage):
            nodes = member.nodes
            if nodes["is_categorical"].any():
                raise Unconvertible("it has categories of its own")
            leaf = nodes["is_leaf"].astype(bool)
            trees.append(
                Tree(
                    left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
                    right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
                    feature=nodes["feature_idx"].astype(np.int64),
                    threshold=nodes["num_threshold"].astype(np.float64),
                    missing_left=nodes["missing_go_to_left"].astype(bool),
                    weights=nodes["value"].reshape(-1, 1).astype(np.float64),
                    target=target,
                )
            )
    return Ensemble(
        trees,
        "double",
        base=np.ravel(model._baseline_prediction).tolist(),
        transform=_transform(model._loss),
        classes=_at_least_two(_classes(model)),
    )


def xgboost(model: Any) -> Ensemble:
    """Of XGBoost's estimators."""
    missing = getattr(model, "missing", np.nan)
    if missing is not None and not np.isnan(missing):
        raise Unconvertible(f"it reads {missing} as missing")
    learner = json.loads(bytes(model.get_booster().save_raw("json")))["learner"]
    booster = learner["gradient_booster"]
    if booster["name"] != "gbtree":
        raise Unconvertible(f"its booster is {booster['name']}")
    targets = max(int(learner["learner_model_param"]["num_class"]), 1)
    given = booster["model"]
    kept = _stages(model) * targets * int(given["gbtree_model_param"]["num_parallel_tree"])
    trees = [
        _xgboost_tree(tree, target)
        for tree, target in zip(given["trees"], given["tree_info"], strict=True)
    ]
    transform, base = _xgboost_objective(learner)
    return Ensemble(
        trees[:kept] if kept else trees,
        "single",
        base=base * (targets // len(base)) if targets > len(base) else base,
        transform=transform,
        strict=True,
        classes=_at_least_two(_classes(model)),
    )


def lightgbm(model: Any) -> Ensemble:
    """Of LightGBM's estimators."""
    told = model.booster_.dump_model()
    words = str(told.get("objective", "")).split()
    name, options = (words[0] if words else ""), words[1:]
    transforms = {"binary": "LOGISTIC", "multiclass": "SOFTMAX", "poisson": "EXP"}
    transforms |= {"gamma": "EXP", "tweedie": "EXP"}
    identity = {"regression", "regression_l1", "huber", "fair", "quantile", "mape"}
    if (name not in transforms and name not in identity) or "sqrt" in options:
        raise Unconvertible(f"its objective is {' '.join(words)!r}")
    slope = float(dict(item.split(":") for item in options if ":" in item).get("sigmoid", 1.0))
    per_stage = int(told["num_tree_per_iteration"])
    share = slope / (len(told["tree_info"]) // per_stage if told.get("average_output") else 1)
    trees = [
        _lightgbm_tree(item["tree_structure"], number % per_stage, share)
        for number, item in enumerate(told["tree_info"])
    ]
    return Ensemble(
        trees,
        "double",
        transform=transforms.get(name, "NONE"),
        classes=_at_least_two(_classes(model)),
    )


def _classes(model: Any) -> list[Any]:
    known = getattr(model, "classes_", None)
    return [] if known is None else list(np.asarray(known).tolist())


def _at_least_two(classes: list[Any]) -> list[Any]:
    if len(classes) == 1:
        raise Unconvertible("it knows one class only")
    return classes


def _sklearn_tree(tree: Any, weights: Any, target: int = 0) -> Tree:
    return Tree(
        left=tree.children_left.astype(np.int64),
        right=tree.children_right.astype(np.int64),
        feature=tree.feature.astype(np.int64),
        threshold=tree.threshold,
        missing_left=tree.missing_go_to_left.astype(bool),
        weights=weights,
        target=target,
    )


def _transform(loss: Any) -> str:
    name = type(loss).__name__
    if name in _TRANSFORMS:
        return _TRANSFORMS[name]
    if name in _IDENTITY:
        return "NONE"
    if name in _EXPONENTIAL:
        return "EXP"
    raise Unconvertible(f"its loss is {name}")


def _stages(model: Any) -> int:
    """How many stages it answers with, 0 for all: fewer where the fit stopped early."""
    try:
        return int(model.best_iteration) + 1
    except AttributeError:
        return 0


def _xgboost_tree(tree: dict[str, Any], target: int) -> Tree:
    if any(tree["split_type"]) or int(tree["tree_param"]["size_leaf_vector"]) > 1:
        raise Unconvertible("its trees split by categories, or answer several things at once")
    values = np.array(tree["split_conditions"], dtype=np.float32).astype(np.float64)
    return Tree(
        left=np.array(tree["left_children"], dtype=np.int64),
        right=np.array(tree["right_children"], dtype=np.int64),
        feature=np.array(tree["split_indices"], dtype=np.int64),
        threshold=values,
        missing_left=np.array(tree["default_left"], dtype=bool),
        weights=values.reshape(-1, 1),
        target=target,
    )


def _xgboost_objective(learner: dict[str, Any]) -> tuple[str, list[float]]:
    name = learner["objective"]["name"]
    told = json.loads(learner["learner_model_param"]["base_score"])
    base = np.atleast_1d(np.array(told, dtype=np.float32)).astype(np.float64)
    if name in {"binary:logistic", "reg:logistic"}:
        return "LOGISTIC", (np.log(base) - np.log1p(-base)).tolist()
    if name == "multi:softprob":
        return "SOFTMAX", base.tolist()
    if name in {"count:poisson", "reg:gamma", "reg:tweedie"}:
        return "EXP", np.log(base).tolist()
    if name in {
        "reg:squarederror",
        "reg:absoluteerror",
        "reg:pseudohubererror",
        "reg:quantileerror",
    }:
        return "NONE", base.tolist()
    raise Unconvertible(f"its objective is {name}")


def _lightgbm_tree(root: dict[str, Any], target: int, share: float) -> Tree:
    nodes: list[tuple[int, int, int, float, bool, float]] = []

    def walk(node: dict[str, Any]) -> int:
        place = len(nodes)
        if "split_feature" not in node:
            nodes.append((-1, -1, 0, 0.0, False, float(node["leaf_value"]) * share))
            return place
        if node["decision_type"] != "<=" or node["missing_type"] == "Zero":
            raise Unconvertible("its trees split by categories, or read zero as missing")
        threshold = float(node["threshold"])
        # Without missing values in training it reads them as zero.
        lacking = node["default_left"] if node["missing_type"] == "NaN" else threshold >= 0.0
        nodes.append((0, 0, int(node["split_feature"]), threshold, bool(lacking), 0.0))
        left, right = walk(node["left_child"]), walk(node["right_child"])
        nodes[place] = (left, right, *nodes[place][2:])
        return place

    walk(root)
    columns = list(zip(*nodes, strict=True))
    return Tree(
        left=np.array(columns[0], dtype=np.int64),
        right=np.array(columns[1], dtype=np.int64),
        feature=np.array(columns[2], dtype=np.int64),
        threshold=np.array(columns[3], dtype=np.float64),
        missing_left=np.array(columns[4], dtype=bool),
        weights=np.array(columns[5], dtype=np.float64).reshape(-1, 1),
        target=target,
    )
