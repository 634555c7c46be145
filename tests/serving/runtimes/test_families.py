import pytest
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from serinus.serving.runtimes import families

HARD = VotingClassifier([("a", LogisticRegression())])
SOFT = VotingClassifier([("a", LogisticRegression())], voting="soft")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (LogisticRegression(), True),
        (make_pipeline(StandardScaler(), make_pipeline(LogisticRegression())), True),
        (SOFT, True),
        (HARD, False),
        (SVC(), False),
        (type("LogisticRegression", (), {})(), False),
    ],
    ids=["estimator", "pipeline", "soft vote", "hard vote", "no probabilities", "namesake"],
)
def test_highest_score_decides_where_the_library_says_so(model, expected):
    assert families.highest_decides(model) is expected


def test_steps_of_a_pipeline_in_a_pipeline():
    inner, outer = StandardScaler(), LogisticRegression()
    assert families.steps_of(make_pipeline(make_pipeline(inner), outer)) == [inner, outer]
    assert families.steps_of(outer) == [outer]


def test_models_are_kept_on_one_thread():
    wide = make_pipeline(StandardScaler(), RandomForestClassifier(n_jobs=-1))
    assert families.on_one_thread(wide).steps[-1][1].n_jobs == 1
    nothing = object()
    assert families.on_one_thread(nothing) is nothing
