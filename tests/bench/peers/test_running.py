import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from serinus.bench import launch, recipes
from serinus.bench.peers import running
from serinus.bench.peers.catalogue import PEERS
from serinus.bench.turns import Pace
from serinus.errors import InvalidInput, Unavailable

# All that this peer needs is in our own environment as well.
FAST = next(peer for peer in PEERS if peer.program == "fast.py")
OURS = Path(sys.executable).parent


def test_peer_serves_answers_rightly_and_bears_a_load(tmp_path):
    running.fit(FAST, OURS, "logistic", tmp_path)
    expected = recipes.fit("logistic").predict(recipes.asked()).tolist()
    cores = launch.cores()
    with running.serve(FAST, OURS, tmp_path, cores.server) as server:
        running.agree(FAST, server.port, expected)
        wrong = [*expected[:5], 1 - expected[5], *expected[6:]]
        with pytest.raises(Unavailable, match="answers row 5"):
            running.agree(FAST, server.port, wrong)
        order = running.order(FAST, server.port, Pace(0.2, 1, 2))
        assert len(set(order.bodies)) == recipes.ROWS
        tally = launch.drive(order, cores.load)
    assert tally.answered > 2
    assert tally.refused == 0


def test_peer_sees_nothing_of_our_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SERINUS_TOKEN", "secret")
    shown = "import os; print(sorted(os.environ)); raise SystemExit(1)"
    peer = replace(FAST, command=lambda place: [place.python, "-c", shown])
    with (
        pytest.raises(Unavailable) as caught,
        running.serve(peer, OURS, tmp_path, launch.cores().server),
    ):
        pass
    assert "OMP_NUM_THREADS" in str(caught.value)
    assert "SERINUS_TOKEN" not in str(caught.value)


def test_peer_whose_model_cannot_be_made_says_why(tmp_path):
    peer = replace(FAST, prepare=("-c", "raise SystemExit('no room for a model')"))
    with pytest.raises(Unavailable, match="no room for a model"):
        running.fit(peer, OURS, "logistic", tmp_path)


def test_peer_has_an_environment_of_its_own_made_once(tmp_path):
    peer = replace(FAST, requirements=())
    programs = running.install(peer, tmp_path, lambda _: None)
    assert os.access(programs / "python", os.X_OK)
    assert tmp_path in programs.parents
    assert running.install(peer, tmp_path, lambda _: None) == programs


def test_peer_that_cannot_be_installed_says_why(tmp_path):
    peer = replace(FAST, requirements=(f"nothing @ file://{tmp_path}/not-there",))
    with pytest.raises(InvalidInput, match="cannot be made"):
        running.install(peer, tmp_path, lambda _: None)
