"""All peers together: installed, started beside the gateway, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from serinus.bench import recipes
from serinus.bench.peers import running
from serinus.bench.peers.catalogue import PEERS
from serinus.bench.peers.types import Peer
from serinus.bench.turns import Contender, Pace
from serinus.errors import SerinusError

DEFAULT_HOME = Path.home() / ".cache" / "serinus" / "bench"


@dataclass
class State:
    """What became of a peer.

    Args:
        name: of the peer.
        requirements: what its environment was asked to hold.
        is_reference: whether it is shown only.
        programs: of its environment; empty if that could not be made.
        faults: why it was not measured, by kind of model, or under ``environment``.
    """

    name: str
    requirements: tuple[str, ...]
    is_reference: bool
    programs: str = ""
    faults: dict[str, str] = field(default_factory=dict)

    def row(self) -> tuple[str, ...]:
        """The peer as cells of text: name, release, and whether it can be started."""
        fault = self.faults.get("environment", "installed")
        return (self.name, "".join(self.requirements[:1]), fault.splitlines()[0])


class Field:
    """The peers of one run.

    Args:
        tell: is told the progress.
        peers: who they are.
    """

    def __init__(self, tell: Callable[[str], None], peers: Sequence[Peer] = PEERS) -> None:
        self._tell = tell
        self._peers = peers
        self.states = tuple(
            State(peer.name, peer.requirements, peer.is_reference) for peer in peers
        )

    def install(self, home: Path) -> None:
        """Make the environments that are not there yet; a fault is noted, and ends nothing."""
        for peer, state in zip(self._peers, self.states, strict=True):
            self._tell(f"environment of {peer.name}")
            try:
                state.programs = str(running.install(peer, home, lambda _: None))
            except SerinusError as error:
                state.faults["environment"] = str(error)
                self._tell(f"{peer.name} cannot be installed: {error.what}")

    def start(
        self, stack: ExitStack, kind: str, folder: Path, core: int, pace: Pace
    ) -> Mapping[str, Contender]:
        """Every peer that can serve a kind, started, found to answer rightly, and stopped.

        Args:
            stack: ends them.
            kind: of model.
            folder: for their models.
            core: that they are kept to.
            pace: of their turns.
        """
        expected = recipes.fit(kind).predict(recipes.asked()).tolist()
        found = {}
        for peer, state in zip(self._peers, self.states, strict=True):
            if not state.programs:
                continue
            self._tell(f"starting {peer.name}")
            try:
                place = self._fitted(peer, state, kind, folder)
                server = stack.enter_context(running.serve(peer, Path(state.programs), place, core))
                running.agree(peer, server.port, expected)
            except SerinusError as error:
                self.note(kind, {peer.name: str(error)})
                continue
            server.pause()
            order = running.order(peer, server.port, pace)
            found[peer.name] = Contender(order, server, is_stopped=True, may_fail=True)
        return found

    def note(self, kind: str, lost: Mapping[str, str]) -> None:
        """Remember why peers were not measured with a kind of model."""
        for state in self.states:
            if state.name in lost:
                state.faults[kind] = lost[state.name]
                self._tell(f"{state.name} was not measured: {lost[state.name].splitlines()[0]}")

    def _fitted(self, peer: Peer, state: State, kind: str, folder: Path) -> Path:
        place = folder / kind / peer.name.split(",")[0].replace(" ", "-")
        place.mkdir(parents=True)
        running.fit(peer, Path(state.programs), kind, place)
        return place
