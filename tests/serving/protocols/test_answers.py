import json

from tests.serving import samples

from serinus.serving.protocols import answers
from serinus.wire import Arm


def test_predicted_leaves_out_what_does_not_apply():
    plain = answers.Predicted(1.5, "id", "m", "1.0.0", Arm.CHAMPION, 3)
    document = json.loads(answers.encode(plain))
    assert document == {
        "prediction": 1.5,
        "prediction_id": "id",
        "model": "m",
        "version": "1.0.0",
        "arm": "champion",
        "revision": 3,
    }


def test_class_names_are_text():
    assert answers.class_names(samples.manifest(classes=("no", 1, True))) == ("no", "1", "true")


def test_problem_is_complete():
    document = answers.problem(413, "too large", remedy="Send less.")
    assert document["title"] == "Request Entity Too Large"
    assert document["type"] == "about:blank"
    assert (document["status"], document["detail"]) == (413, "too large")
    assert document["remedy"] == "Send less."
    assert "remedy" not in answers.problem(404, "no")
