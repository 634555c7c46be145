import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from serinus.bench import launch, turns
from serinus.bench.peers.catalogue import PEERS
from serinus.bench.peers.field import Field
from serinus.bench.turns import Pace

FAST = next(peer for peer in PEERS if peer.program == "fast.py")


def test_field_measures_those_that_can_be_and_names_the_others(tmp_path):
    told = []
    absent = replace(FAST, name="absent", requirements=(f"x @ file://{tmp_path}/not-there",))
    failing = replace(FAST, name="failing", requirements=(), prepare=("-c", "exit('no room')"))
    good = replace(FAST, name="good", requirements=())
    field = Field(told.append, (absent, failing, good))
    field.install(tmp_path / "environments")
    for state in field.states[1:]:
        assert state.programs
        # Their packages are in our own environment as well.
        state.programs = str(Path(sys.executable).parent)
    cores = launch.cores()
    with ExitStack() as stack:
        found = field.start(stack, "logistic", tmp_path, cores.server, Pace(0.2, 1, 2))
        assert list(found) == ["good"]
        taken = turns.take(found, 1, cores.load)
    assert taken.rounds["good"][0].answered > 0
    faults = {state.name: state.faults for state in field.states}
    assert "cannot be made" in faults["absent"]["environment"]
    assert "no room" in faults["failing"]["logistic"]
    assert faults["good"] == {}
    assert any(line.startswith("absent cannot be installed") for line in told)
    absent_row, _, good_row = (state.row() for state in field.states)
    assert absent_row[:2] == ("absent", absent.requirements[0])
    assert good_row == ("good", "", "installed")
