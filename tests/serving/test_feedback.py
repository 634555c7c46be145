import pytest
from tests.serving import samples

from serinus.errors import InvalidInput, NotFound
from serinus.ledger import ids
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.writer import Writer
from serinus.serving import feedback
from serinus.serving.feedback import Feedback
from serinus.serving.protocols.decode import FeedbackItem
from serinus.wire import Arm, Assignment, Failure, Label, Output, Prediction, Value

ASSIGNMENT = Assignment("mood", Arm.CHALLENGER, 0.1, 3, "d", 1, 5)


def test_feedback_carries_the_predictions_own_facts(tmp_path):
    writer = Writer(tmp_path, segment_bytes=10**6)
    event = Prediction(7, ASSIGNMENT, "1.0.0", (1.0,), Output("yes", (0.1, 0.9)), 10)
    [id] = writer.append([event])
    joining = Feedback(Reader(tmp_path), lambda model, version: samples.manifest())
    [label] = joining.events(FeedbackItem(ids.encode(id), "no"))
    assert (label.prediction, label.value, label.predicted_at) == (id, "no", 7)
    assert (label.assignment, label.version, label.output) == (ASSIGNMENT, "1.0.0", event.output)
    [value] = joining.events(FeedbackItem(ids.encode(id), value=-2.5))
    assert (value.prediction, value.value, value.predicted_at) == (id, -2.5, 7)
    assert (value.assignment, value.version) == (ASSIGNMENT, "1.0.0")
    both = joining.events(FeedbackItem(ids.encode(id), "no", 0.0))
    assert [(type(event), event.value) for event in both] == [(Label, "no"), (Value, 0.0)]
    writer.close()


@pytest.mark.parametrize("told", [{"label": "no"}, {"value": 1.0}, {"label": "no", "value": 1.0}])
def test_feedback_on_nothing_is_refused(tmp_path, told):
    joining = Feedback(Reader(tmp_path), lambda model, version: samples.manifest())
    assert isinstance(joining.events(FeedbackItem("0" * 32, **told)), NotFound)
    assert isinstance(joining.events(FeedbackItem("nonsense", **told)), InvalidInput)


def test_feedback_with_a_wrong_label_is_refused_whole(tmp_path):
    writer = Writer(tmp_path, segment_bytes=10**6)
    [id] = writer.append([Prediction(7, ASSIGNMENT, "1.0.0", (1.0,), Output("yes"), 10)])
    joining = Feedback(Reader(tmp_path), lambda model, version: samples.manifest())
    assert isinstance(joining.events(FeedbackItem(ids.encode(id), "maybe", 3.0)), InvalidInput)
    writer.close()


def test_feedback_takes_nothing_for_what_was_not_predicted(tmp_path):
    writer = Writer(tmp_path, segment_bytes=10**6)
    [id] = writer.append([Failure(7, ASSIGNMENT, "1.0.0", "it raised", 10)])
    joining = Feedback(Reader(tmp_path), lambda model, version: samples.manifest())
    for item in (FeedbackItem(ids.encode(id), "no"), FeedbackItem(ids.encode(id), value=1.0)):
        refused = joining.events(item)
        assert isinstance(refused, NotFound)
        assert refused.what == f"there is no prediction {ids.encode(id)}"
    writer.close()


@pytest.mark.parametrize(
    ("classes", "label", "expected"),
    [
        (("no", "yes"), "yes", "yes"),
        ((0, 1), 1, 1),
        ((0, 1), 1.0, 1),
        ((False, True), True, True),
        ((), 2, 2.0),
    ],
)
def test_label_in_the_terms_of_the_model(classes, label, expected):
    predicted = classes[0] if classes else 0.5
    manifest = samples.manifest(classes=classes)
    for known in (manifest, None) if not isinstance(label, float) else (manifest,):
        found = feedback.checked(label, predicted, known)
        assert found == expected
        assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("predicted", "classes", "label"),
    [
        ("yes", ("no", "yes"), "maybe"),
        (1, (0, 1), True),
        (True, (False, True), 1),
        (0.5, (), "high"),
        (0.5, (), True),
        ("yes", (), 1.0),
    ],
)
def test_label_of_other_terms_is_refused(predicted, classes, label):
    with pytest.raises(InvalidInput) as caught:
        feedback.checked(label, predicted, samples.manifest(classes=classes))
    assert caught.value.where == "label"
