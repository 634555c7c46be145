import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from tests.serving import samples

from serinus.errors import InvalidInput
from serinus.serving.runtimes import outcomes, probes
from serinus.serving.runtimes.estimator import SklearnRuntime
from serinus.serving.runtimes.outcomes import ClassIndex
from serinus.serving.runtimes.pyfunc import PyfuncRuntime
from serinus.wire import Output


def rows(count=20, seed=1):
    return [tuple(row) for row in samples.number_rows(count, seed).tolist()]


def test_sklearn_runtime_answers_as_the_model_does():
    model = samples.logistic()
    runtime = SklearnRuntime(model, samples.number_manifest())
    frame = runtime._frames.build(rows())
    outputs = runtime.answer(rows())
    assert [output.value for output in outputs] == model.predict(frame).tolist()
    assert [list(output.scores) for output in outputs] == model.predict_proba(frame).tolist()


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_sklearn_runtime_by_arrays_answers_the_same():
    runtime = SklearnRuntime(samples.logistic(), samples.number_manifest())
    before = runtime.answer(rows(500))
    assert runtime.use_arrays(rows(16))
    assert runtime.answer(rows(500)) == before


def test_sklearn_runtime_gives_frames_to_code_of_others():
    def names(frame):
        return frame.rename(columns=str.upper)

    fitted = make_pipeline(FunctionTransformer(names), LogisticRegression()).fit(
        SklearnRuntime(samples.logistic(), samples.number_manifest())._frames.build(rows()),
        [0, 1] * 10,
    )
    runtime = SklearnRuntime(fitted, samples.number_manifest())
    assert not runtime.use_arrays(rows(16))
    assert len(runtime.answer(rows())) == 20


def test_sklearn_runtime_orders_scores_by_the_manifest():
    runtime = SklearnRuntime(samples.logistic(), samples.number_manifest(classes=(1, 0)))
    plain = SklearnRuntime(samples.logistic(), samples.number_manifest())
    for turned, straight in zip(runtime.answer(rows()), plain.answer(rows()), strict=True):
        assert turned.value == straight.value
        assert turned.scores == straight.scores[::-1]


def test_sklearn_runtime_fitted_on_positions_answers_in_classes():
    runtime = SklearnRuntime(samples.logistic(), samples.number_manifest(classes=("no", "yes")))
    assert {output.value for output in runtime.answer(rows())} == {"no", "yes"}


def test_sklearn_runtime_of_other_classes_is_refused():
    with pytest.raises(InvalidInput):
        SklearnRuntime(samples.logistic(), samples.number_manifest(classes=("a", "b", "c")))


def test_sklearn_runtime_of_a_regression():
    manifest = samples.number_manifest(task="regression", classes=())
    outputs = SklearnRuntime(samples.linear(), manifest).answer([(1.0, 0.0, 0.0, 0.0)])
    assert outputs[0].value == pytest.approx(3.0)
    assert outputs[0].scores == ()


def test_sklearn_runtime_without_probabilities():
    from sklearn.svm import LinearSVC

    frame = SklearnRuntime(samples.logistic(), samples.number_manifest())._frames.build(rows(40))
    fitted = LinearSVC().fit(frame, [0, 1] * 20)
    manifest = samples.number_manifest()
    runtime = SklearnRuntime(fitted, manifest)
    assert all(output.value in (0, 1) and output.scores == () for output in runtime.answer(rows()))


class Saying:
    """A model that gives what it was made with."""

    def __init__(self, given):
        self._given = given

    def predict(self, _rows):
        return self._given


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1.5, float("nan"), float("inf")], [Output(1.5), outcomes.UNUSABLE, outcomes.UNUSABLE]),
        (np.array([[1.0], [2.0], [3.0]]), [Output(1.0), Output(2.0), Output(3.0)]),
    ],
)
def test_runtime_numbers_that_are_none_are_unusable(given, expected):
    manifest = samples.number_manifest(task="regression", classes=())
    for kind in (SklearnRuntime, PyfuncRuntime):
        assert kind(Saying(given), manifest).answer(rows(3)) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([0, 1, 7], [Output(0), Output(1), outcomes.UNUSABLE]),
        (np.array([1.0, np.nan, 0.0]), [Output(1), outcomes.UNUSABLE, Output(0)]),
        (
            np.array([[0.2, 0.8], [0.6, 0.4], [np.nan, 0.5]]),
            [Output(1, (0.2, 0.8)), Output(0, (0.6, 0.4)), outcomes.UNUSABLE],
        ),
    ],
)
def test_pyfunc_runtime_understands_classes_and_scores(given, expected):
    assert PyfuncRuntime(Saying(given), samples.number_manifest()).answer(rows(3)) == expected


@pytest.mark.parametrize("given", ["text", np.zeros((3, 4, 5)), None])
def test_runtime_output_of_no_sense_raises(given):
    manifest = samples.number_manifest(task="regression", classes=())
    with pytest.raises((InvalidInput, ValueError)):
        PyfuncRuntime(Saying(given), manifest).answer(rows(3))


@given(st.lists(st.lists(st.floats(), min_size=2, max_size=2), min_size=1, max_size=6))
def test_class_index_never_lets_a_number_that_is_none_pass(scores):
    found = ClassIndex(samples.number_manifest()).of_scores(np.array(scores))
    for outcome, row in zip(found, scores, strict=True):
        if not np.isfinite(row).all():
            assert outcome == outcomes.UNUSABLE


def test_runtime_keeps_models_to_one_thread():
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(3, n_jobs=-1).fit(samples.number_rows(40, 0), [0, 1] * 20)
    SklearnRuntime(forest, samples.number_manifest())
    assert forest.n_jobs == 1


def test_probe_rows_begin_with_the_example_and_differ():
    rows = probes.probe_rows(samples.manifest(), 3)
    assert rows[0] == (40.0, 0.0, "Ulm")
    assert len({row[0] for row in rows}) == 3
    unknown = probes.probe_rows(samples.manifest(example={}), 1)
    assert unknown == [(0.0, None, None)]
