import resource
import signal
import socket
import subprocess
import sys
import time

import pytest
from tests.serving import samples
from tests.serving.conftest import route
from tests.serving.loads import Load
from tests.serving.running import Gateway

from serinus.errors import Unavailable
from serinus.ledger import ids
from serinus.ledger.files import segments
from serinus.serving.workers import gateway as gateways
from serinus.wire import Route, Target


def test_listen_on_a_taken_port_names_it():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable) as caught:
            gateways.listen("127.0.0.1", port, patience_seconds=0.1)
    assert str(port) in str(caught.value)
    assert caught.value.where == "gateway_port"


def test_listen_waits_for_a_predecessor(free_port):
    import threading

    port = free_port()
    taken = gateways.listen("127.0.0.1", port)
    threading.Timer(0.2, taken.close).start()
    gateways.listen("127.0.0.1", port, patience_seconds=5).close()


def test_gateway_drains_when_it_is_told_to_end(gateway, folders):
    running = gateway(request_timeout_seconds=4.0)
    running.publish(1, route(folders, "slow"))
    with running:
        running.until_revision(1)
        with Load(running.url, "/predict", {"features": {"age": 61.0}}) as load:
            running.until(lambda: len(load.answers) > 8)
            assert running.stop(signal.SIGTERM) == 0
            load.stop()
        recorded = {ids.encode(record.id) for record in running.reader.scan()}
        assert load.refused == []
        assert {answer["prediction_id"] for answer in load.answers} <= recorded
        writers = segments.writers(running.ledger)
        assert all(segments.is_closed(running.ledger, name) for name in writers)


def test_gateway_alone_in_its_process_serves_and_ends(tmp_path, folders, free_port):
    """``gateway.run`` without a supervisor, as a container with one core may use it."""
    import httpx
    import msgspec

    from serinus import wire

    port = free_port()
    table = wire.RoutingTable(1, {"mood": route(folders, "good")})
    (tmp_path / "routing.json").write_bytes(msgspec.json.encode(table))
    script = (
        "import resource, sys\nfrom pathlib import Path\n"
        "few = (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1])\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, few)\n"
        "from serinus.serving.types import GatewayOptions\n"
        "from serinus.serving.workers import gateway\n"
        "home = Path(sys.argv[1])\n"
        "gateway.run(GatewayOptions(port=int(sys.argv[2]), routing_table=home / 'routing.json',"
        " ledger=home / 'ledger'))\nprint('ended')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), str(port)], stdout=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                answer = httpx.post(
                    f"http://127.0.0.1:{port}/predict", json={"features": {"age": 61}}
                )
                break
            except httpx.TransportError:
                time.sleep(0.02)
        assert answer.json()["prediction"] == "yes"
        # A connection is a descriptor: it takes as many as it is allowed.
        soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        assert soft == hard > 256
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stdout.read() == "ended\n"


def test_gateway_alone_answers_before_its_slowest_model_is_there(gateway, folders, tmp_path):
    uri = samples.save(tmp_path / "sleepy", samples.sleepy(8.0), samples.number_manifest("sleepy"))
    running = gateway()
    running.publish(1, route(folders, "good"), Route("sleepy", Target("1", uri)))
    started = time.monotonic()
    with running:
        body = {"features": {"age": 61.0}}
        assert running.post("/models/mood/predict", body).status_code == 200
        assert time.monotonic() - started < 8.0
        waiting = running.post("/models/sleepy/predict", {"features": {}})
        assert (waiting.status_code, waiting.json()["detail"]) == (503, "the model is being loaded")


def test_gateway_that_still_loads_ends_when_it_is_told(folders, tmp_path, free_port):
    uri = samples.save(tmp_path / "sleepy", samples.sleepy(15.0), samples.number_manifest("sleepy"))
    running = Gateway(tmp_path / "home", free_port())
    running.publish(1, Route("sleepy", Target("1", uri)))
    with running.log.open("ab") as log:
        running.process = running.begin(log)
    deadline = time.monotonic() + 20
    while not running.workers() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    started = time.monotonic()
    assert running.stop(signal.SIGTERM) == 0
    assert time.monotonic() - started < 6.0
    running.client.close()
