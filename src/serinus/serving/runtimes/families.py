"""What is known of libraries' own estimators."""

from __future__ import annotations

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
