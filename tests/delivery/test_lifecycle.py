"""The whole life of deployments: whatever people, evidence, clocks and deaths do, no illegal state.

A short run is part of the tests; ``make soak`` runs ten thousand lives.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select
from tests.delivery.life import LEASE_SECONDS, MODEL, VERSIONS, Killed, Life, prepare

from serinus.delivery import routing
from serinus.delivery.controller import ACTOR
from serinus.delivery.folding.replay import Replays
from serinus.delivery.records import deployments, evidence
from serinus.delivery.rollback.service import Rollbacks
from serinus.delivery.types import (
    TRANSITIONS,
    Deployment,
    DeploymentSpec,
    Outcome,
    Phase,
    Transition,
)
from serinus.delivery.verdicts.evidence import Evidence, Measure
from serinus.errors import SerinusError
from serinus.registry import repository as versions
from serinus.store import schema
from serinus.store.engine import reading
from serinus.wire import Route, RoutingTable

# Lives are spread over so many tests, so that as many processes can live them.
PARTS = 4
SHORT = 12
STEPS = 30
ENTITIES = 40
# In memory: what is written need not survive the machine.
MEMORY = Path("/dev/shm")

SIDES = st.integers(0, 1)
COMMANDS = st.sampled_from(["pause", "resume", "approve", "promote", "abort", "retry"])
PLANS: dict[str, dict[str, Any]] = {
    "canary": {"shares": (0.2, 0.5)},
    "canary by entity": {"shares": (0.2, 0.5), "unit": "entity", "entities": 1_000_000},
    "canary with approvals": {"shares": (0.3,), "shadow": False, "approvals": True},
    "canary that waits for all traffic": {"shares": (0.3,), "auto_promote": False},
    "shadow": {"strategy": "shadow", "shares": ()},
    "blue-green": {"strategy": "blue_green", "shares": ()},
    "rolling": {"strategy": "rolling", "shares": (), "replicas": 2},
    "A/B test": {
        "strategy": "ab_test",
        "shares": (),
        "metric": "latency",
        "min_hours": 1.0,
        "max_hours": 2.0,
        "others": ("1.2.0",),
    },
}
ASKED: dict[str, Any] = {
    "labels": False,
    "error_odds": 30.0,
    "error_points": 0.5,
    "latency_ratio": 50.0,
    "min_requests": 5,
    "soak_seconds": 30.0,
    "max_hours": 1.0,
}


class Lives(RuleBasedStateMachine):
    """Everything that can happen to the deployments of a model."""

    def __init__(self, prepared: Path) -> None:
        super().__init__()
        place = MEMORY if MEMORY.is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="serinus-life-", dir=place))
        self.life = Life(self.folder, prepared)
        self.revision = 0
        self.published = 0
        self.share: tuple[str, float] = ("", 0.0)
        self.rows = 0
        self.seen: dict[str, dict[Measure, int]] = {}

    def teardown(self) -> None:
        """Whatever was decided comes out again."""
        try:
            self._check_replay()
        finally:
            self.life.close()
            shutil.rmtree(self.folder)

    # ------------------------------------------------------------------ people

    @rule(plan=st.sampled_from(sorted(PLANS)), challenger=st.sampled_from(VERSIONS[:3]))
    def begin(self, plan: str, challenger: str) -> None:
        self._ask(partial(self._begin, plan, challenger))

    @rule(command=COMMANDS)
    def command(self, command: str) -> None:
        self._ask(partial(self._command, command))

    @rule(command=COMMANDS)
    def command_of_an_older_one(self, command: str) -> None:
        self._ask(partial(self._command, command, 1))

    @rule(version=st.sampled_from([None, *VERSIONS]))
    def roll_back(self, version: str | None) -> None:
        self._ask(
            lambda: Rollbacks(self.life.delivery).roll_back(
                MODEL, version, actor="ann", reason="it smells"
            )
        )

    def _begin(self, plan: str, challenger: str) -> None:
        spec = DeploymentSpec(model=MODEL, challenger=challenger, **{**ASKED, **PLANS[plan]})
        self.life.delivery.create(spec, actor="ann")

    def _command(self, command: str, back: int = 0) -> None:
        found = self._deployments()
        if len(found) > back:
            act = getattr(self.life.delivery, command)
            act(found[-1 - back].id, actor="ann", reason="she says so")

    def _ask(self, what: Any) -> None:
        """What is refused changes nothing, and says what to do instead."""
        before = self._deployments()
        refused: list[SerinusError] = []
        try:
            what()
        except SerinusError as refusal:
            refused.append(refusal)
        if refused:
            assert refused[0].remedy
            assert self._deployments() == before

    # ------------------------------------------------------------------ the world

    @rule(harmful=st.sampled_from([0.0, 0.0, 0.0, 1.0]), requests=st.sampled_from([30, 100]))
    def traffic(self, harmful: float, requests: int) -> None:
        self.life.serve(requests, failing=harmful, entities=ENTITIES)

    @rule(loaded=st.sampled_from([4, 4, 4, 1]))
    def gateways_report(self, loaded: int) -> None:
        self.life.report({"w1": VERSIONS, "w2": VERSIONS[:loaded]})

    @rule(seconds=st.sampled_from([1.0, 31.0, 3_700.0]))
    def time_passes(self, seconds: float) -> None:
        self.life.time.pass_by(seconds)

    @rule(seconds=st.sampled_from([-7_200, -60, 60, 7_200]))
    def the_clock_is_set(self, seconds: int) -> None:
        self.life.time.wall += timedelta(seconds=seconds)

    # ------------------------------------------------------------------ controllers

    @rule(side=SIDES)
    def look(self, side: int) -> None:
        self.life.look(side)

    @rule(failing=st.sampled_from([0.0, 0.0, 1.0]))
    def a_good_while(self, failing: float) -> None:
        """Loaded everywhere, served, and looked at: most of a life."""
        for _ in range(2):
            self.life.report({"w1": VERSIONS, "w2": VERSIONS})
            self.life.serve(100, failing=failing, entities=ENTITIES)
            self.life.time.pass_by(LEASE_SECONDS)
            for side in (0, 1):
                self.life.look(side)
            self.check()

    @rule(side=SIDES, after=st.integers(0, 60))
    def control_is_killed_in_a_pass(self, side: int, after: int) -> None:
        self._die(after, lambda: self.life.look(side))
        self.life.kill(side)

    @rule(command=COMMANDS, after=st.integers(0, 30))
    def control_is_killed_in_a_command(self, command: str, after: int) -> None:
        self._die(after, lambda: self._ask(lambda: self._command(command)))
        self.life.kill(0)

    @rule(plan=st.sampled_from(sorted(PLANS)), after=st.integers(0, 40))
    def control_is_killed_at_a_beginning(self, plan: str, after: int) -> None:
        self._die(after, lambda: self._ask(lambda: self._begin(plan, "1.1.0")))
        self.life.kill(0)

    @rule(side=SIDES, after=st.integers(0, 3))
    def control_sleeps_in_a_pass_while_the_other_takes_over(self, side: int, after: int) -> None:
        def others() -> None:
            self.life.look(1 - side)
            self.life.time.pass_by(LEASE_SECONDS + 1.0)
            self.life.look(1 - side)

        with self.life.fuse.lit(after, others, writes_only=True):
            self.life.look(side)

    @rule(command=COMMANDS, side=SIDES, after=st.integers(0, 3))
    def a_person_is_quicker_than_a_pass(self, command: str, side: int, after: int) -> None:
        act = partial(self._ask, partial(self._command, command))
        with self.life.fuse.lit(after, act, writes_only=True):
            self.life.look(side)

    def _die(self, after: int, what: Any) -> None:
        def die() -> None:
            raise Killed

        with self.life.fuse.lit(after, die), suppress(Killed):
            what()

    # ------------------------------------------------------------------ what always holds

    @invariant()
    def check(self) -> None:
        with reading(self.life.engine) as connection:
            found = self._deployments()
            live = [item for item in found if item.live]
            assert len(live) <= 1
            held = versions.in_stage(connection, versions.Stage.PRODUCTION, MODEL)
            assert len(held) == 1
            moves = {item.id: deployments.history(connection, item.id) for item in found}
            table = routing.newest(connection)
            for item in found:
                _check_history(item, moves[item.id])
                self._check_evidence(item, evidence.get(connection, item.id))
        if table is not None:
            assert table.revision >= self.revision
            self.revision = table.revision
            _check_route(table.routes[MODEL], held[0].version, live)
            self._check_share(table.routes[MODEL], moves)
            self._check_file(table)

    def _check_evidence(self, item: Deployment, evidence: Evidence) -> None:
        totals = {measure: evidence.total(measure) for measure in evidence.tables}
        for measure, before in self.seen.get(item.id, {}).items():
            assert totals[measure] >= before
        self.seen[item.id] = totals
        if item.plan.unit == "entity":
            drawn = {
                share: counts
                for share, counts in evidence.tables.get(Measure.ERROR, {}).items()
                if 0 < share < 1
            }
            assert sum(int(counts.sum()) for counts in drawn.values()) <= ENTITIES

    def _check_share(self, route: Route, moves: dict[str, list[Transition]]) -> None:
        """More traffic only on a verdict, on a person's word, or for what has just been loaded."""
        identity, before = self.share
        rows = sum(map(len, moves.values()))
        if route.deployment and route.share > (before if identity == route.deployment else 0.0):
            new = moves[route.deployment][-(rows - self.rows) :]
            assert rows > self.rows
            assert any(
                move.verdict is Outcome.PROMOTE
                or move.actor != ACTOR
                or move.from_phase is Phase.PENDING
                for move in new
            )
        self.share, self.rows = (route.deployment, route.share), rows

    def _check_file(self, newest: RoutingTable) -> None:
        """What gateways read is a revision of the store, and never an older one than before."""
        if not self.life.file.exists():
            return
        read = msgspec.json.decode(self.life.file.read_bytes(), type=RoutingTable)
        assert self.published <= read.revision <= newest.revision
        self.published = read.revision
        if read.revision == newest.revision:
            assert read == newest

    @precondition(lambda self: self.revision > 0)
    @rule(side=SIDES)
    def a_look_brings_the_newest_table_to_the_gateways(self, side: int) -> None:
        self.life.look(side)
        read = msgspec.json.decode(self.life.file.read_bytes(), type=RoutingTable)
        assert read == self.life.table()

    def _check_replay(self) -> None:
        replays = Replays(self.life.engine, self.life.tape)  # type: ignore[arg-type]
        for item in self._deployments()[-1:]:
            assert replays.replay(item.id).exact

    def _deployments(self) -> list[Deployment]:
        """In the order in which they began, whatever the clock said."""
        history = schema.deployment_history
        with reading(self.life.engine) as connection:
            first = func.min(history.c.id)
            ids = connection.execute(
                select(history.c.deployment).group_by(history.c.deployment).order_by(first)
            ).scalars()
            return [deployments.get(connection, identity) for identity in ids]


def _check_history(item: Deployment, moves: list[Transition]) -> None:
    """A chain without a gap, of legal links, that ends where the deployment is."""
    first, *rest = moves
    assert (first.from_phase, first.to_phase) == (Phase.PENDING, Phase.PENDING)
    phase, step = first.to_phase, first.step
    for move in rest:
        assert move.from_phase is phase
        assert move.to_phase in TRANSITIONS[phase]
        if move.to_phase is Phase.RUNNING and phase is Phase.RUNNING:
            assert move.step == step + 1
        phase, step = move.to_phase, move.step
    assert (item.phase, item.step) == (phase, step)
    assert (item.ended_at is None) == item.live


def _check_route(route: Route, champion: str, live: list[Deployment]) -> None:
    assert route.champion.version == champion
    if not live:
        assert (route.deployment, route.share, route.challenger) == ("", 0.0, None)
        return
    (item,) = live
    assert route.deployment == item.id
    assert route.step == item.step
    if item.phase in (Phase.RUNNING, Phase.PAUSED):
        if item.strategy != "ab_test":
            assert route.share == item.plan.steps[item.step].share
    else:
        assert route.share == 0.0
    assert champion == (item.challenger if item.phase is Phase.SOAKING else item.champion)


@pytest.fixture(scope="module")
def prepared(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The store that every life begins with."""
    return prepare(_sqlite_template, tmp_path_factory.mktemp("lives"))


@pytest.mark.parametrize("part", range(PARTS))
def test_life_cycle_knows_no_illegal_state(prepared: Path, part: int) -> None:
    soak = settings.get_current_profile_name() == "soak"
    lives = settings.default.max_examples // PARTS if soak else SHORT
    run_state_machine_as_test(
        lambda: Lives(prepared),
        settings=settings(
            max_examples=lives,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
