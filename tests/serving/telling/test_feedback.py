import asyncio
import random
import threading

import pytest
from tests.ledger.archive import conftest as archived
from tests.serving import samples

from serinus.errors import InvalidInput, NotFound, Unavailable
from serinus.ledger import ids
from serinus.ledger.archive.reader import open_archived
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.writer import Writer
from serinus.serving.protocols.decode import FeedbackItem
from serinus.serving.telling import feedback
from serinus.serving.telling.counters import Counters
from serinus.serving.telling.feedback import Feedback, Intake, Terms
from serinus.serving.telling.recorder import Recorder
from serinus.wire import Arm, Assignment, Failure, Label, Output, Prediction, Value

ASSIGNMENT = Assignment("mood", Arm.CHALLENGER, 0.1, 3, "d", 1, 5)


@pytest.fixture
def writer(tmp_path):
    made = Writer(tmp_path, segment_bytes=10**6)
    yield made
    made.close()


@pytest.fixture
def joining(tmp_path):
    return Feedback(Reader(tmp_path), lambda model, version: samples.manifest())


def joined(joining, *items):
    return joining.events(items, joining.find(items))


def test_feedback_carries_the_predictions_own_facts(writer, joining):
    event = Prediction(7, ASSIGNMENT, "1.0.0", (1.0,), Output("yes", (0.1, 0.9)), 10)
    [id] = writer.append([event])
    told = [{"label": "no"}, {"value": -2.5}, {"label": "no", "value": 0.0}]
    [label], [value], both = joined(joining, *[FeedbackItem(ids.encode(id), **it) for it in told])
    assert (label.prediction, label.value, label.predicted_at) == (id, "no", 7)
    assert (label.assignment, label.version, label.output) == (ASSIGNMENT, "1.0.0", event.output)
    assert (value.prediction, value.value, value.predicted_at) == (id, -2.5, 7)
    assert (value.assignment, value.version) == (ASSIGNMENT, "1.0.0")
    assert [(type(event), event.value) for event in both] == [(Label, "no"), (Value, 0.0)]


@pytest.mark.parametrize("told", [{"label": "no"}, {"value": 1.0}, {"label": "no", "value": 1.0}])
def test_feedback_on_nothing_is_refused(joining, told):
    items = [FeedbackItem("0" * 32, **told), FeedbackItem("nonsense", **told)]
    unknown, nonsense = joined(joining, *items)
    assert isinstance(unknown, NotFound)
    assert isinstance(nonsense, InvalidInput)


def test_feedback_with_a_wrong_label_is_refused_whole_and_no_other(writer, joining):
    made = writer.append(
        [Prediction(at, ASSIGNMENT, "1.0.0", (1.0,), Output("yes"), 10) for at in range(3)]
    )
    items = [FeedbackItem(ids.encode(id), "no", 3.0) for id in made]
    items[1] = FeedbackItem(items[1].prediction_id, "maybe", 3.0)
    first, second, third = joined(joining, *items)
    assert isinstance(second, InvalidInput)
    assert [[event.prediction for event in item] for item in (first, third)] == [
        [made[0]] * 2,
        [made[2]] * 2,
    ]


def test_feedback_takes_nothing_for_what_was_not_predicted(writer, joining):
    [id] = writer.append([Failure(7, ASSIGNMENT, "1.0.0", "it raised", 10)])
    for item in (FeedbackItem(ids.encode(id), "no"), FeedbackItem(ids.encode(id), value=1.0)):
        [refused] = joined(joining, item)
        assert isinstance(refused, NotFound)
        assert refused.what == f"there is no prediction {ids.encode(id)}"


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
        found = Terms(known).checked(label, predicted)
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
        Terms(samples.manifest(classes=classes)).checked(label, predicted)
    assert caught.value.where == "label"


class Shelf:
    """A ledger whose predictions come from afar: it tells who asked, and waits until it may."""

    def __init__(self, reader):
        self.reader, self.may, self.asked = reader, threading.Event(), []

    def lookup_many(self, ids):
        self.asked.append(threading.current_thread().name)
        assert self.may.wait(10)
        return self.reader.lookup_many(ids)


def test_intake_looks_up_beside_the_loop_and_refuses_too_many(tmp_path, writer, monkeypatch):
    monkeypatch.setattr(feedback, "MOST_WAITING", 700)
    made = writer.append(
        [Prediction(at, ASSIGNMENT, "1.0.0", (1.0,), Output("yes"), 10) for at in range(600)]
    )
    items = [FeedbackItem(ids.encode(id), "no", 1.0) for id in made]

    async def scenario():
        counters = Counters()
        shelf = Shelf(Reader(tmp_path))
        joining = Feedback(shelf, lambda model, version: samples.manifest())
        loop = asyncio.get_running_loop()
        write = Recorder(writer, counters, loop).write
        intake = Intake(joining, write, counters, loop)
        first = asyncio.create_task(intake.take(items))
        while not shelf.asked:
            await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="600 labels"):
            await intake.take(items[:101])
        second = asyncio.create_task(intake.take(items[:100]))
        shelf.may.set()
        assert await first == [None] * 600
        assert await second == [None] * 100
        assert (counters.labels, counters.values) == (700, 700)
        assert set(shelf.asked) == {"feedback"}

    asyncio.run(scenario())
    told = [record.event for record in Reader(tmp_path).scan() if isinstance(record.event, Label)]
    assert [label.prediction for label in told[:250]] == made[:250]
    assert len(told) == 700


def test_summary_names_what_was_refused():
    fault, unknown = InvalidInput("it is wrong", where="label"), NotFound("there is none")
    assert feedback.summary([None, None]) == (202, {"accepted": 2})
    status, document = feedback.summary([None, fault])
    assert (status, document["accepted"]) == (202, 1)
    assert document["rejected"] == [{"index": 1, "error": fault.problem()}]
    status, document = feedback.summary([unknown, fault])
    assert (status, document["detail"]) == (404, "there is none")
    assert [item["index"] for item in document["rejected"]] == [0, 1]
    assert feedback.summary([fault]) == (422, fault.problem())
    with pytest.raises(Unavailable):
        feedback.summary([None, fault, Unavailable("the disk is full")])


def test_intake_answers_in_the_order_of_the_items(tmp_path, writer):
    made = writer.append(
        [Prediction(at, ASSIGNMENT, "1.0.0", (1.0,), Output("yes"), 10) for at in range(600)]
    )
    items = [FeedbackItem(ids.encode(id), "no") for id in made]
    random.Random(1).shuffle(items)
    wrong = {3: "maybe", 299: "never", 598: "perhaps"}
    for place, label in wrong.items():
        items[place] = FeedbackItem(items[place].prediction_id, label)
    items[5] = InvalidInput("it is none")
    items[7] = FeedbackItem("Zz", "no")
    items += [FeedbackItem(items[0].prediction_id.upper(), "yes")]

    async def scenario():
        loop = asyncio.get_running_loop()
        counters = Counters()
        joining = Feedback(Reader(tmp_path), lambda model, version: samples.manifest())
        write = Recorder(writer, counters, loop).write
        return await Intake(joining, write, counters, loop).take(items)

    results = asyncio.run(scenario())
    assert {place for place, fault in enumerate(results) if fault} == {*wrong, 5, 7}
    assert all(repr(label) in str(results[place]) for place, label in wrong.items())
    told = [record.event for record in Reader(tmp_path).scan() if isinstance(record.event, Label)]
    twice = [
        label.value for label in told if ids.encode(label.prediction) == items[0].prediction_id
    ]
    assert twice == ["no", "yes"]


def test_feedback_finds_what_was_moved_to_the_archive(tmp_path):
    made = archived.Kept(tmp_path)
    [old] = made.write([Prediction(7, ASSIGNMENT, "1.0.0", (1.0,), Output("yes"), 10)])
    made.compaction.run()
    made.remove_segments()
    joining = Feedback(
        open_archived(tmp_path / "ledger", tmp_path / "archive"),
        lambda model, version: samples.manifest(),
    )
    [[label]] = joined(joining, FeedbackItem(ids.encode(old.id), "no"))
    assert (label.prediction, label.predicted_at) == (old.id, 7)
    made.close()
