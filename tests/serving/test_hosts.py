"""Gateways of several hosts on one ledger: real processes, a real server, and it goes away."""

from __future__ import annotations

import contextlib

import pytest
from tests.ledger.conftest import start_server
from tests.serving.conftest import route
from tests.serving.running import Gateway

from serinus import wire
from serinus.ledger import ids
from serinus.ledger.opening import open_reader

ROW = {"features": {"age": 61.0}}


@pytest.fixture
def server(tmp_path):
    made = start_server(tmp_path / "valkey")
    yield made
    made.terminate()


def test_hosts_share_what_they_predicted(tmp_path, folders, free_port, server):
    address = f"redis://127.0.0.1:{server.port}/0"
    with contextlib.ExitStack() as stack:
        hosts = [Gateway(tmp_path / name, free_port(), ledger=address) for name in "ab"]
        for host in hosts:
            host.publish(1, route(folders, "good"))
            stack.enter_context(host)
            host.until_revision(1)
        first, second = hosts
        told = [first.post("/predict", ROW).json()["prediction_id"] for _ in range(5)]
        for one in told:
            answer = second.post("/feedback", {"prediction_id": one, "label": "yes"})
            assert answer.status_code < 300, answer.text
        unknown = second.post("/feedback", {"prediction_id": "0" * 32, "label": "yes"})
        assert unknown.status_code == 404
        reader = open_reader(address)
        labels = [record for record in reader.scan() if isinstance(record.event, wire.Label)]
        assert [ids.encode(record.event.prediction) for record in labels] == told
        [label_writer] = {ids.unpack(record.id).writer for record in labels}
        assert label_writer not in {ids.unpack(ids.decode(one)).writer for one in told}
        reader.close()


def test_host_whose_ledger_goes_away_refuses_and_comes_back(tmp_path, folders, free_port, server):
    address = f"redis://127.0.0.1:{server.port}/0"
    host = Gateway(tmp_path / "a", free_port(), ledger=address)
    host.publish(1, route(folders, "good"))
    with host:
        host.until_revision(1)
        acknowledged = [host.post("/predict", ROW).json()["prediction_id"]]
        server.terminate()
        refused = host.post("/predict", ROW)
        assert refused.status_code == 503
        assert "Start the server" in refused.text
        again = start_server(tmp_path / "valkey", port=server_port(address))
        try:
            host.until(lambda: host.post("/predict", ROW).status_code == 200)
            acknowledged.append(host.post("/predict", ROW).json()["prediction_id"])
            reader = open_reader(address)
            kept = {ids.encode(record.id) for record in reader.scan()}
            assert set(acknowledged) <= kept
            reader.close()
        finally:
            again.terminate()


def server_port(address: str) -> int:
    return int(address.rpartition(":")[2].partition("/")[0])
