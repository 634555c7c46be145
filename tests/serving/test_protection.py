"""What a gateway does when too much is asked of it, or something of it fails: over real HTTP."""

from __future__ import annotations

import concurrent.futures
import resource
import time

from tests.serving import samples
from tests.serving.conftest import route
from tests.serving.loads import Load

from serinus import wire
from serinus.ledger import ids

FEATURES = {"age": 61.0}
NUMBERS = {f"x{index}": 1.0 for index in range(4)}


def test_models_that_take_too_much_memory_sleep_until_they_are_asked(gateway, tmp_path):
    names = [f"small-{number}" for number in range(4)]
    routes = []
    for name in names:
        manifest = samples.number_manifest(name)
        uri = samples.save(tmp_path / name, samples.logistic(), manifest)
        routes.append(wire.Route(name, wire.Target("1.0.0", uri)))
    size = sum(path.stat().st_size for path in (tmp_path / names[0]).rglob("*") if path.is_file())
    running = gateway(model_memory_bytes=int(size * 2.5))
    running.publish(1, *routes)
    with running:
        running.until_revision(1)
        running.until(lambda: len(running.get("/health").json()["asleep"]) == 2)
        assert running.get("/health/ready").status_code == 200
        for _ in range(2):
            for name in names:
                answer = running.post(f"/models/{name}/predict", {"features": NUMBERS})
                assert (answer.status_code, answer.json()["model"]) == (200, name)
        running.until(lambda: len(running.get("/health").json()["asleep"]) == 2)
        state = running.get("/health").json()
        # Who was asked last is awake.
        assert {place.split("@")[0] for place in state["serving"]} == set(names[2:])
        with concurrent.futures.ThreadPoolExecutor(8) as many:
            path = f"/models/{names[0]}/predict"
            asked = [many.submit(running.post, path, {"features": NUMBERS}) for _ in range(16)]
            assert {one.result().status_code for one in asked} == {200}


def test_model_that_wakes_slowly_is_waited_for_no_longer_than_the_client_wants(gateway, tmp_path):
    routes = []
    for name, model in (("sleepy", samples.sleepy(4.0)), ("numbers", samples.logistic())):
        uri = samples.save(tmp_path / name, model, samples.number_manifest(name))
        routes.append(wire.Route(name, wire.Target("1.0.0", uri)))
    running = gateway(model_memory_bytes=1)
    running.publish(1, *routes)
    body = {"features": NUMBERS}
    with running:
        running.until_revision(1)
        running.until(lambda: "sleepy" in running.get("/health").json()["asleep"])
        started = time.monotonic()
        patience = {"x-serinus-timeout-ms": "200"}
        refused = running.post("/models/sleepy/predict", body, **patience)
        assert time.monotonic() - started < 3.0
        assert refused.status_code == 503
        assert refused.json()["detail"] == "the model is being loaded"


def test_models_under_a_deployment_never_sleep(gateway, folders):
    running = gateway(model_memory_bytes=1)
    both = route(folders, "no", "yes", share=0.5, deployment="d", step=1)
    running.publish(1, both, route(folders, "numbers"))
    with running:
        running.until_revision(1)
        running.until(lambda: running.get("/health").json()["asleep"] == ["numbers"])
        assert sorted(running.get("/health").json()["serving"]) == ["mood@no", "mood@yes"]
        assert running.post("/models/numbers/predict", {"features": NUMBERS}).status_code == 200


def test_ledger_that_is_full_may_be_answered_over(gateway, folders):
    running = gateway(worker_status_seconds=0.1, ledger_full="answer")
    running.publish(1, route(folders, "good"))
    with running:
        running.until_revision(1)
        assert "recorded" not in running.post("/predict", {"features": FEATURES}).json()
        worker = running.workers()[0]
        before = resource.prlimit(worker, resource.RLIMIT_FSIZE, (16, resource.RLIM_INFINITY))
        answers = [running.post("/predict", {"features": FEATURES}) for _ in range(60)]
        assert {answer.status_code for answer in answers} == {200}
        last = answers[-1].json()
        assert (last["prediction_id"], last["recorded"]) == ("", False)
        state = running.get("/health").json()
        assert state["ready"]
        assert "cannot be written" in state["ledger"]
        assert "serinus_gateway_ledger_up 0.0" in running.get("/metrics").text
        lost = running.get("/stats").json()["unrecorded"]
        assert lost == sum("recorded" in answer.json() for answer in answers)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, before)
        running.until(lambda: running.get("/health").json()["ledger"] == "ok")
        assert running.post("/predict", {"features": FEATURES}).json()["prediction_id"]


def test_too_many_rows_are_answered_429_and_those_taken_are_kept(gateway, folders):
    running = gateway(waiting_max_rows=4)
    running.publish(1, route(folders, "slow"))
    with running, concurrent.futures.ThreadPoolExecutor(24) as many:
        running.until_revision(1)
        asked = [many.submit(running.post, "/predict", {"features": FEATURES}) for _ in range(48)]
        answers = [one.result() for one in asked]
        taken = [answer for answer in answers if answer.status_code == 200]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(taken) + len(refused) == 48
        assert taken
        assert refused
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert refused[0].json()["title"] == "Too many requests"
        recorded = [r for r in running.reader.scan() if isinstance(r.event, wire.Prediction)]
        assert len(recorded) == len(taken)


def test_circuit_of_a_failing_challenger_opens_and_closes_again(gateway, folders):
    running = gateway()
    running.publish(1, route(folders, "no", "raising", share=0.9, deployment="d", step=1))
    bad, good = {"features": {"age": 61.0}}, {"features": {"age": 40.0}}

    def circuits():
        return running.get("/health").json()["circuits"]

    with running:
        running.until_revision(1)
        # The challenger raises for every age but 40; the champion answers all.
        running.until(lambda: running.post("/predict", bad).is_success and circuits())
        assert circuits() == {"mood@raising": "open"}
        assert "serinus_gateway_open_circuits 1.0" in running.get("/metrics").text
        answers = [running.post("/predict", bad).json() for _ in range(20)]
        assert {(answer["arm"], answer["version"]) for answer in answers} == {("champion", "no")}
        running.until(lambda: running.post("/predict", good).is_success and circuits() == {})
        running.until(lambda: running.post("/predict", good).json()["version"] == "raising")
        events = {
            ids.encode(record.id): record.event
            for record in running.reader.scan()
            if isinstance(record.event, wire.Prediction)
        }
    # Without a choice they are evidence for nobody.
    for answer in answers:
        assigned = events[answer["prediction_id"]].assignment
        assert (assigned.deployment, assigned.share) == ("", 0.0)


def test_circuit_stays_closed_in_an_outage_of_both(gateway, folders):
    running = gateway()
    running.publish(1, route(folders, "no", "good", share=0.5, deployment="d", step=1))
    with running:
        running.until_revision(1)
        for _ in range(3 * wire.BreakerRules().rows):
            assert running.post("/predict", {"features": {"age": 1.0, "mood": 1.0}}).is_error
        assert running.get("/health").json()["circuits"] == {}


def test_request_of_a_client_that_hardly_waits_is_no_evidence(gateway, folders):
    running = gateway()
    running.publish(1, route(folders, "numbers", "numbers-2", share=0.5, deployment="d", step=1))
    with running:
        running.until_revision(1)
        for wait in ("20", "5000"):
            for _ in range(30):
                body = {"features": NUMBERS}
                running.post("/predict", body, **{"x-serinus-timeout-ms": wait})
        events = [r.event for r in running.reader.scan() if isinstance(r.event, wire.Prediction)]
    patient = [event for event in events if event.assignment.deployment]
    assert len(patient) == 30
    assert {event.assignment.arm for event in patient} == {wire.Arm.CHAMPION, wire.Arm.CHALLENGER}


def test_slow_challenger_delays_no_champion(gateway, folders):
    running = gateway()
    running.publish(1, route(folders, "good", "slow", share=0.5, mirror=1.0, deployment="d"))
    with running, Load(running.url, "/predict", {"features": FEATURES}, clients=6) as load:
        running.until(lambda: len(load.answers) > 40)
        took = []
        for _ in range(60):
            started = time.perf_counter()
            answer = running.post(
                "/predict", {"features": FEATURES}, **{"x-serinus-arm": "champion"}
            )
            took.append(time.perf_counter() - started)
            assert answer.json()["version"] == "good"
        # A call of the challenger takes 60 ms.
        assert sorted(took)[30] < 0.03


def test_deadline_of_the_client_counts(gateway, folders):
    running = gateway()
    running.publish(1, route(folders, "slow"))
    with running:
        running.until_revision(1)
        late = running.post("/predict", {"features": FEATURES}, **{"x-serinus-timeout-ms": "20"})
        assert (late.status_code, late.json()["title"]) == (408, "Deadline passed")
        wrong = running.post("/predict", {"features": FEATURES}, **{"x-serinus-timeout-ms": "soon"})
        assert wrong.status_code == 422
        patient = running.post(
            "/predict", {"features": FEATURES}, **{"x-serinus-timeout-ms": "5000"}
        )
        assert patient.status_code == 200
