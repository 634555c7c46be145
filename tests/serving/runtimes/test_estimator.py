import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from tests.serving import samples

from serinus.errors import InvalidInput
from serinus.serving.runtimes.estimator import SklearnRuntime


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


def test_runtime_keeps_models_to_one_thread():
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(3, n_jobs=-1).fit(samples.number_rows(40, 0), [0, 1] * 20)
    SklearnRuntime(forest, samples.number_manifest())
    assert forest.n_jobs == 1
