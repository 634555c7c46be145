"""What a worker does over time: swaps, shadows, a ledger that is full, a table that is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time

import msgspec
import pytest
from tests.serving import samples, scripted
from tests.serving.conftest import route
from tests.serving.loads import Load

from serinus import wire
from serinus.errors import InvalidInput, Overloaded, Unavailable
from serinus.ledger import ids
from serinus.ledger.files.writer import Writer
from serinus.serving.asking.lanes import Lane
from serinus.serving.protocols.decode import FeedbackItem, Request
from serinus.serving.service import Service
from serinus.serving.telling.board import Board
from serinus.serving.types import GatewayOptions

FEATURES = {"age": 61.0}
BODY = {"features": FEATURES}


def test_service_swaps_under_load_and_drops_nothing(gateway, folders):
    running = gateway()
    champions = {}

    def publish(revision):
        name = ("yes", "no", "good")[revision % 3]
        champions[revision] = name
        running.publish(revision, route(folders, name))

    publish(1)
    with running:
        running.until_revision(1)
        with Load(running.url, "/predict", BODY) as load:
            for revision in range(2, 32):
                publish(revision)
                running.until_revision(revision)
                load.until_more(5)
        recorded = {ids.encode(record.id): record.event for record in running.reader.scan()}
    assert load.broken == 0
    assert load.refused == []
    for answer in load.answers:
        assert answer["version"] == champions[answer["revision"]]
        assert answer["header revision"] == str(answer["revision"])
        assert recorded[answer["prediction_id"]].assignment.revision == answer["revision"]
    assert {answer["revision"] for answer in load.answers} >= set(range(2, 31))
    reported = [e for e in recorded.values() if isinstance(e, wire.WorkerStatus)]
    assert {status.revision for status in reported} == set(range(1, 32))


def test_service_without_a_route_says_so_until_there_is_one(gateway, folders):
    with gateway() as running:
        assert running.get("/health/live").status_code == 200
        assert running.get("/health/ready").status_code == 503
        refused = running.post("/predict", BODY)
        assert refused.status_code == 503
        assert refused.json()["detail"] == "no model is being served"
        assert "Promote" in refused.json()["remedy"]
        running.publish(1, route(folders, "good"))
        running.until(lambda: running.get("/health/ready").status_code == 200)
        assert running.post("/predict", BODY).json()["prediction"] == "yes"
        # A table that is no table changes nothing, and is seen.
        running.table.write_text("{")
        running.until(lambda: running.get("/health").json()["routing_table"] != "ok")
        assert running.post("/reload-model", {}).status_code == 422
        assert running.post("/predict", BODY).status_code == 200
        running.publish(2, route(folders, "no"))
        reloaded = running.post("/reload-model", {}).json()
        assert reloaded == {"revision": 2, "ready": ["mood@no"], "failed": {}}
        assert running.post("/predict", BODY).json()["prediction"] == "no"


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe nonsense",
        b"",
        b'{"revision": 2, "routes": {"mood": {"model": "mood", "champion": {"by": "name"}}}}',
        b'{"revision": "two", "routes": {}}',
    ],
    ids=["bytes", "empty", "of_another_form", "of_another_type"],
)
def test_service_keeps_the_last_good_table_and_says_so(gateway, folders, content):
    """One that cannot be read, or that a later version of Serinus wrote, changes nothing."""
    running = gateway()
    running.publish(1, route(folders, "good"))
    with running:
        running.until_revision(1)
        running.table.write_bytes(content)
        running.until(lambda: running.get("/health").json()["routing_table"] != "ok")
        health = running.get("/health").json()
        assert (health["revision"], health["ready"]) == (1, True)
        assert "the routing table cannot be read" in health["routing_table"]
        assert running.post("/predict", BODY).json()["version"] == "good"
        # Fields that only a later version knows harm nobody.
        route_of_later = msgspec.to_builtins(route(folders, "no")) | {"mood": "blue"}
        later = {"revision": 3, "routes": {"mood": route_of_later}, "colour": "red"}
        running.table.write_bytes(msgspec.json.encode(later))
        running.until_revision(3)
        assert running.post("/predict", BODY).json()["version"] == "no"
        assert running.get("/health").json()["routing_table"] == "ok"


def test_service_serves_the_champion_alone_and_reports_why(gateway, folders, tmp_path):
    broken = wire.Target("9.9.9", str(tmp_path / "nothing"))
    champion = wire.Target("good", folders["good"])
    running = gateway(worker_status_seconds=0.1)
    running.publish(4, wire.Route("mood", champion, broken, share=0.5, deployment="d"))
    with running:
        answers = [running.post("/predict", BODY).json() for _ in range(20)]
        assert {(answer["arm"], answer["version"]) for answer in answers} == {("champion", "good")}
        assert "mood@9.9.9" in running.get("/health").json()["failed"]
        running.until(lambda: len(statuses(running)) >= 3)
        last = statuses(running)[-1]
        assert (last.revision, last.ready) == (4, ("mood@good",))
        assert set(last.failed) == {"mood@9.9.9"}


def statuses(running):
    return [
        record.event
        for record in running.reader.scan()
        if isinstance(record.event, wire.WorkerStatus)
    ]


@pytest.mark.parametrize("sync", ["os", "disk"])
def test_service_shadows_without_being_seen(gateway, folders, sync):
    running = gateway(ledger_sync=sync)
    running.publish(1, route(folders, "no", "raising", mirror=1.0, deployment="d", step=1))
    with running:
        answers = [running.post("/predict", BODY).json() for _ in range(5)]
        assert {answer["version"] for answer in answers} == {"no"}
        running.until(lambda: running.get("/stats").json()["mirrored"] == 5)
        running.publish(2, route(folders, "no", "yes", mirror=1.0, deployment="d", step=2))
        running.until_revision(2)
        last = running.post("/predict", BODY).json()
        running.until(lambda: running.get("/stats").json()["mirrored"] == 6)
        shadows = [
            record.event
            for record in running.reader.scan()
            if isinstance(record.event, wire.Shadow)
        ]
    assert [shadow.failure for shadow in shadows[:5]] == ["RuntimeError: I always raise"] * 5
    assert shadows[5].output.value == "yes"
    assert shadows[5].champion.value == "no"
    assert ids.encode(shadows[5].prediction) == last["prediction_id"]
    assert shadows[5].assignment.arm is wire.Arm.SHADOW
    assert (shadows[5].assignment.deployment, shadows[5].assignment.step) == ("d", 2)


def test_service_slow_model_does_not_hold_up_the_others(gateway, folders):
    running = gateway()
    running.publish(1, route(folders, "slow"), route(folders, "numbers"))
    with (
        running,
        Load(running.url, "/models/mood/predict", BODY, clients=6) as load,
    ):
        running.until(lambda: len(load.answers) > 6)
        body = {"features": {f"x{index}": 1.0 for index in range(4)}}
        took = []
        for _ in range(20):
            started = time.perf_counter()
            assert running.post("/models/numbers/predict", body).status_code == 200
            took.append(time.perf_counter() - started)
        # One call of the slow model takes 60 ms; half of these waited for none of them.
        assert sorted(took)[10] < 0.06


def test_service_with_a_full_ledger_refuses_and_recovers(gateway, folders):
    running = gateway(worker_status_seconds=0.1)
    running.publish(1, route(folders, "good"))
    with running:
        running.until_revision(1)
        acknowledged = [running.post("/predict", BODY).json()["prediction_id"]]
        worker = running.workers()[0]
        before = resource.prlimit(worker, resource.RLIMIT_FSIZE, (2_000, resource.RLIM_INFINITY))
        for _ in range(50):
            response = running.post("/predict", BODY)
            if response.status_code != 200:
                break
            acknowledged.append(response.json()["prediction_id"])
        assert response.status_code == 503
        assert "ledger" in response.json()["detail"]
        assert response.headers["retry-after"] == "1"
        # A status event may be small enough to still fit, so the ledger's state may flicker.
        running.until(lambda: running.get("/health/ready").status_code == 503)
        running.until(lambda: running.get("/health").json()["ledger"] != "ok")
        assert running.get("/health/live").status_code == 200
        assert running.get("/stats").json()["ledger_errors"] > 0
        resource.prlimit(worker, resource.RLIMIT_FSIZE, before)
        running.until(lambda: running.get("/health/ready").status_code == 200)
        acknowledged.append(running.post("/predict", BODY).json()["prediction_id"])
        recorded = [
            ids.encode(record.id)
            for record in running.reader.scan()
            if isinstance(record.event, wire.Prediction)
        ]
    assert recorded == acknowledged


@contextlib.contextmanager
def service(tmp_path, **options):
    """A worker's service in the test's own loop."""
    given = GatewayOptions(
        routing_table=tmp_path / "routing.json", ledger=tmp_path / "ledger", **options
    )
    with contextlib.closing(Writer(given.ledger, segment_bytes=10**6)) as writer:
        yield Service(given, writer, asyncio.get_running_loop(), board=Board(), slot=0)


def test_service_lets_nobody_wait_for_ever(tmp_path):
    async def scenario():
        with service(tmp_path, request_timeout_seconds=0.05) as serving:
            # A lane whose own time-out never comes.
            held = scripted.Held(1)
            live = scripted.live_route(scripted.lane("1", held, inline=False))
            told = []
            serving.predict(live, Request((1.0,) * 4), None, told.append)
            while not told:
                await asyncio.sleep(0.02)
                serving.tickets.expire()
            assert isinstance(told[0], Unavailable)
            assert "in time" in told[0].what
            held.release.set()

    asyncio.run(asyncio.wait_for(scenario(), 5))


class Costly(Lane):
    """A lane of which is known that each row takes it a hundredth of a second."""

    def expected_seconds(self, rows):
        return rows / 100


@pytest.mark.parametrize(
    ("patience", "rows", "admitted"),
    [
        (None, 40, True),
        (None, 70, False),
        (0.7, 40, True),
        (0.7, 70, False),
        (0.3, 15, True),
        (0.3, 40, False),
        # More patience than the gateway itself has is none.
        (1000.0, 40, True),
        (1000.0, 70, False),
    ],
)
def test_service_admits_what_can_be_answered_while_its_client_waits(
    tmp_path, patience, rows, admitted
):
    async def scenario():
        with service(tmp_path, request_timeout_seconds=0.2) as serving:
            assert serving.tickets.longest == pytest.approx(0.7)
            held, told = scripted.Held(1), []
            loop = asyncio.get_running_loop()
            with contextlib.closing(
                Costly("1", held, loop, timeout_seconds=5.0, freed=lambda: None)
            ) as lane:
                asked = (scripted.live_route(lane), Request((1.0,) * 4))
                serving.predict(*asked, None, told.append)
                await asyncio.sleep(0)  # It is being called; of the others, ten wait.
                serving.predict_many([asked] * 10, None, told.append)
                assert serving.waiting == 10
                refusal = pytest.raises(Overloaded, match="10 rows are waiting already")
                with contextlib.nullcontext() if admitted else refusal:
                    serving.predict_many([asked] * rows, None, told.append, seconds=patience)
                assert serving.waiting == 10 + rows * admitted
                held.release.set()

    asyncio.run(asyncio.wait_for(scenario(), 5))


def test_service_feedback_that_cannot_be_written_harms_no_other(tmp_path):
    async def scenario():
        with service(tmp_path) as serving:
            output = wire.Output("yes")
            assignment = wire.Assignment("mood", wire.Arm.CHAMPION, 0.0, 1)
            made = []
            serving.recorder.write(
                [wire.Prediction(n, assignment, "1", (), output, 1) for n in range(3)], made.extend
            )
            items = [FeedbackItem(ids.encode(id), "no", 1.5) for id in made]
            items[1] = FeedbackItem(items[1].prediction_id, "\ud800")
            fault = InvalidInput("it is wrong")
            first, second, third, fourth = await serving.feedback([*items, fault])
            assert (first, third, fourth) == (None, None, fault)
            assert second.status == 422
            assert (serving.counters.labels, serving.counters.values) == (2, 2)

    asyncio.run(scenario())


def test_service_rolls_back_at_once_while_another_model_loads(gateway, folders, tmp_path):
    uri = samples.save(tmp_path / "sleepy", samples.sleepy(10.0), samples.number_manifest())
    other = wire.Route(
        "numbers", wire.Target("numbers", folders["numbers"]), wire.Target("sleepy", uri), share=0.5
    )
    running = gateway()
    running.publish(1, route(folders, "good", "no", share=1.0), route(folders, "numbers"))
    with running:
        assert running.post("/models/mood/predict", BODY).json()["version"] == "no"
        running.publish(2, route(folders, "good", "no", share=1.0), other)
        running.until(lambda: running.get("/health").json()["loading"] == ["numbers@sleepy"])
        started = time.monotonic()
        running.publish(3, route(folders, "good"), other)
        running.until(lambda: running.get("/health").json()["revision"] == 3)
        answer = running.post("/models/mood/predict", BODY).json()
        assert time.monotonic() - started < 1.0
        assert (answer["version"], answer["revision"]) == ("good", 3)
        body = {"features": {f"x{index}": 1.0 for index in range(4)}}
        assert running.post("/models/numbers/predict", body).json()["version"] == "numbers"
        state = running.get("/health").json()
        assert state["loading"] == ["numbers@sleepy"]
        assert sorted(state["serving"]) == ["mood@good", "numbers@numbers"]
        last = statuses(running)[-1]
        assert (last.revision, sorted(last.ready)) == (3, ["mood@good", "numbers@numbers"])
        running.until(lambda: not running.get("/health").json()["loading"])
        assert "numbers@sleepy" in running.get("/health").json()["serving"]


def test_service_of_a_first_champion_that_still_loads_says_so(gateway, folders, tmp_path):
    uri = samples.save(tmp_path / "sleepy", samples.sleepy(3.0), samples.number_manifest())
    running = gateway()
    running.publish(1, route(folders, "good"))
    with running:
        running.publish(
            2, route(folders, "good"), wire.Route("numbers", wire.Target("sleepy", uri))
        )
        running.until(lambda: running.get("/health").json()["revision"] == 2)
        refused = running.post("/models/numbers/predict", {"features": {}})
        assert refused.status_code == 503
        assert refused.json()["detail"] == "the model is being loaded"
        assert running.post("/models/nobody/predict", BODY).status_code == 404
        running.until_revision(2)
        body = {"features": {f"x{index}": 1.0 for index in range(4)}}
        assert running.post("/models/numbers/predict", body).status_code == 200
