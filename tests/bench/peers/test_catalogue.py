import ast
import json
import re
from pathlib import Path

import pytest

from serinus.bench import recipes
from serinus.bench.peers.catalogue import PEERS
from serinus.bench.peers.running import PROGRAMS
from serinus.bench.peers.types import Place

ROW = recipes.asked()[0].tolist()
ANSWERS = {
    "MLServer": {"outputs": [{"name": "predict", "data": [1]}]},
    "MLServer without batching": {"outputs": [{"name": "predict", "data": [1]}]},
    "LitServe": {"class": 1},
    "BentoML": [1],
    "mlflow models serve": {"predictions": [1]},
    "FastAPI, pandas, scikit-learn": {"class": 1},
}


def by_name(peer):
    return peer.name


def test_peers_are_the_four_and_two_references():
    assert [peer.name for peer in PEERS] == list(ANSWERS)
    assert [peer.name for peer in PEERS if peer.is_reference] == [
        "MLServer without batching",
        "FastAPI, pandas, scikit-learn",
    ]


@pytest.mark.parametrize("peer", PEERS, ids=by_name)
def test_peer_is_pinned_to_the_same_models_packages(peer):
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in peer.requirements)
    ours = {line for line in PEERS[0].requirements if line.startswith(("scikit", "numpy", "xgb"))}
    assert len(ours) == 3
    assert ours <= set(peer.requirements)


@pytest.mark.parametrize("peer", PEERS, ids=by_name)
def test_peer_asks_for_the_whole_row_and_reads_the_class(peer):
    asked = json.dumps(peer.request(ROW))
    assert all(json.dumps(value) in asked for value in ROW)
    assert peer.answer(ANSWERS[peer.name]) == 1


@pytest.mark.parametrize("peer", PEERS, ids=by_name)
def test_peer_is_started_on_its_port_with_its_own_programs(peer):
    place = Place(Path("/environment/bin"), 4321)
    command = list(peer.command(place))
    assert command[0].startswith("/environment/bin/")
    assert "4321" in json.dumps([command, peer.settings(place)])


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.program], ids=by_name)
def test_peers_program_is_there_and_reads_the_model_beside_it(peer):
    text = (PROGRAMS / peer.program).read_text(encoding="utf-8")
    names = {node.name for node in ast.parse(text).body if hasattr(node, "name")}
    assert 'joblib.load("model.joblib")' in text
    # BentoML is told the class by its name.
    named = [word.partition(":")[2] for word in peer.command(Place(Path(), 1)) if ":" in word]
    assert set(named) <= names
