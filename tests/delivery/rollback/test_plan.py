"""Where a rollback by hand may lead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.delivery.test_reconcile import deployment

from serinus.delivery.reconcile import WorkerView
from serinus.delivery.rollback.plan import automatic, check, former, has_served, write
from serinus.delivery.rollback.types import Check
from serinus.delivery.types import Phase
from serinus.errors import Conflict, NotFound
from serinus.registry.model_types import RollbackCriteria
from serinus.registry.types import ModelVersion, Stage, StageChange
from serinus.wire import Manifest

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def version(number: str) -> ModelVersion:
    return ModelVersion(
        model="fraud",
        version=number,
        stage=Stage.PRODUCTION,
        uri="",
        run_id="",
        mlflow_version="",
        model_type="classification",
        task="classification",
        description="",
        parent=None,
        manifest=Manifest("fraud", "classification", (), "y"),
        metrics={},
        params={},
        tags={},
        dataset={},
        gates=(),
        reference={},
        created_at=NOW,
    )


class Installation:
    """The stages of one model's versions, moved as the registry moves them."""

    def __init__(self) -> None:
        self.stages: dict[str, Stage] = {}
        self.changes: list[StageChange] = []
        self.taken_back: list[tuple[str, datetime]] = []
        self.now = NOW
        self.out: set[str] = set()

    @property
    def champion(self) -> str | None:
        held = [name for name, stage in self.stages.items() if stage is Stage.PRODUCTION]
        return held[0] if held else None

    @property
    def newest_first(self) -> list[StageChange]:
        return self.changes[::-1]

    def move(self, name: str, to: Stage) -> None:
        before = self.stages.get(name, Stage.NONE)
        if to is Stage.PRODUCTION and self.champion is not None:
            self.move(self.champion, Stage.ARCHIVED)
        self.stages[name] = to
        if to is Stage.PRODUCTION:
            self.out.discard(name)
        self.changes.append(StageChange("fraud", name, before, to, self.tick(), "ann", ""))

    def tick(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def promote(self, name: str) -> None:
        for stage in (Stage.STAGING, Stage.PRODUCTION):
            self.move(name, stage)

    def put_back(self, name: str) -> None:
        """Out of the archive, by hand."""
        self.move(name, Stage.PRODUCTION)

    def roll_back(self, name: str) -> None:
        """From wherever it stands, as a rollback routes it."""
        assert self.champion is not None
        self.out.add(self.champion)
        self.taken_back.append((self.champion, self.tick()))
        if self.stages.get(name, Stage.NONE) is Stage.NONE:
            self.move(name, Stage.STAGING)
        self.move(name, Stage.PRODUCTION)

    def end_trial(self, name: str) -> None:
        """A challenger is taken back that never came to Production."""
        self.move(name, Stage.STAGING)
        self.out.add(name)
        self.taken_back.append((name, self.tick()))
        self.move(name, Stage.ARCHIVED)

    def withdraw(self) -> None:
        assert self.champion is not None
        self.move(self.champion, Stage.ARCHIVED)

    def former(self) -> str:
        assert self.champion is not None
        return former(version(self.champion), self.newest_first, self.taken_back)


def lived(story: str) -> Installation:
    """Versions promoted one after the other.

    ``<`` is put back by hand, ``>`` is rolled back to, ``+`` is staged, ``!`` is a challenger that
    is taken back, ``-`` withdraws the champion.
    """
    found = Installation()
    for word in story.split():
        if word == "-":
            found.withdraw()
        elif word.startswith("<"):
            found.put_back(word[1:])
        elif word.startswith(">"):
            found.roll_back(word[1:])
        elif word.startswith("+"):
            found.move(word[1:], Stage.STAGING)
        elif word.startswith("!"):
            found.end_trial(word[1:])
        else:
            found.promote(word)
    return found


@pytest.mark.parametrize(
    ("story", "to"),
    [
        ("1.0.0 1.0.1", "1.0.0"),
        ("1.0.0 1.0.1 1.0.2", "1.0.1"),
        ("1.0.0 1.0.1 1.0.2 <1.0.1", "1.0.0"),
        ("1.0.0 1.0.1 <1.0.0 1.0.1", "1.0.0"),
        ("1.0.0 1.0.1 <1.0.0 <1.0.1", "1.0.0"),
        ("1.0.0 1.0.1 <1.0.0 <1.0.1 <1.0.0 <1.0.1", "1.0.0"),
        ("1.0.0 1.0.1 <1.0.0 1.0.2", "1.0.0"),
        ("1.0.0 1.0.1 1.0.0", "1.0.1"),
        ("1.0.0 1.0.1 - 1.0.2", "1.0.0"),
        ("1.0.0 1.0.1 >1.0.2", "1.0.0"),
        ("1.0.0 1.0.1 +1.0.2 >1.0.2", "1.0.0"),
        ("1.0.0 1.0.1 1.0.2 +1.0.1 >1.0.1", "1.0.0"),
        ("1.0.0 1.0.1 1.0.2 1.0.3 +1.0.1 >1.0.1", "1.0.0"),
        ("1.0.0 1.0.1 >1.0.2 1.0.1", "1.0.2"),
        ("1.0.0 1.0.1 1.0.2 !1.0.1", "1.0.0"),
        ("1.0.0 1.0.1 >1.0.0 >1.0.1 1.0.2", "1.0.1"),
    ],
)
def test_former_served_before_and_was_not_taken_back(story: str, to: str) -> None:
    assert lived(story).former() == to


@pytest.mark.parametrize(
    "story",
    [
        "1.0.0",
        "1.0.0 1.0.1 <1.0.0",
        "1.0.0 - 1.0.1",
        "1.0.0 >1.0.1",
        "1.0.0 1.0.1 >1.0.0",
        "1.0.0 1.0.1 >1.0.0 >1.0.1",
        "1.0.0 1.0.1 !1.0.0",
    ],
)
def test_former_of_whom_nobody_preceded_is_refused(story: str) -> None:
    with pytest.raises(NotFound, match="was not taken back") as refusal:
        lived(story).former()
    assert "--to VERSION" in refusal.value.remedy


NAMES = ("1.0.0", "1.0.1", "1.0.2", "1.0.3")


class Histories(RuleBasedStateMachine):
    """Whatever people do to a model's versions, going back goes back."""

    def __init__(self) -> None:
        super().__init__()
        self.world = Installation()

    @rule(name=st.sampled_from(NAMES))
    def promote(self, name: str) -> None:
        before = self.world.champion
        if name == before:
            return
        self.world.promote(name)
        if before is not None:
            assert self.world.former() == before

    @precondition(lambda self: self.world.champion)
    @rule(name=st.sampled_from(NAMES))
    def put_back(self, name: str) -> None:
        taken_back = self.world.champion
        if self.world.stages.get(name) is not Stage.ARCHIVED:
            return
        preceded = name in self.before()
        self.world.put_back(name)
        assert not preceded or taken_back not in self.before()

    @precondition(lambda self: self.world.champion)
    @rule()
    def withdraw(self) -> None:
        gone = self.world.champion
        self.world.withdraw()
        self.world.promote(next(name for name in NAMES if name != gone))
        assert gone not in self.before()

    @precondition(lambda self: self.world.champion)
    @rule()
    def stage(self) -> None:
        for name in NAMES:
            if self.world.stages.get(name, Stage.NONE) is Stage.NONE:
                self.world.move(name, Stage.STAGING)
                return

    @precondition(lambda self: self.world.champion)
    @rule()
    def roll_back(self) -> None:
        """As often as it goes: never to the same one twice, and so never to the one at hand."""
        for target in self.before():
            assert self.world.former() == target
            assert has_served(target, self.world.newest_first)
            self.world.roll_back(target)
        with pytest.raises(NotFound):
            self.world.former()

    @precondition(lambda self: self.world.champion)
    @rule(name=st.sampled_from(NAMES))
    def roll_back_to(self, name: str) -> None:
        """Wherever it stands; who came before it in the line still does, and nobody else."""
        taken_back, before = self.world.champion, self.before()
        if name == taken_back:
            return
        self.world.roll_back(name)
        expected = before[before.index(name) + 1 :] if name in before else before
        assert self.before() == expected

    @precondition(lambda self: self.world.champion)
    @rule(name=st.sampled_from(NAMES))
    def end_trial(self, name: str) -> None:
        if name == self.world.champion:
            return
        before = self.before()
        self.world.end_trial(name)
        assert self.before() == [item for item in before if item != name]

    @rule(hours=st.integers(-2, 2))
    def set_clock(self, hours: int) -> None:
        self.world.now += timedelta(hours=hours)

    @invariant()
    def nobody_taken_back_comes_again(self) -> None:
        """Unless it has entered Production since, in the order of the changes."""
        if self.world.champion is None:
            return
        for name in self.before():
            assert name not in self.world.out

    def before(self) -> list[str]:
        """Where asking again and again leads, nearest first; nothing is changed."""
        seen = Installation()
        seen.stages, seen.changes = dict(self.world.stages), list(self.world.changes)
        seen.taken_back, seen.now = list(self.world.taken_back), self.world.now
        found: list[str] = []
        while True:
            try:
                target = seen.former()
            except NotFound:
                return found
            assert target not in (*found, seen.champion, self.world.champion)
            found.append(target)
            seen.roll_back(target)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)


def test_write_warns_of_a_target_that_never_served() -> None:
    folder = Check("artifacts", passed=True, detail="there")
    for served, passed in ((True, True), (False, None)):
        written = write(
            version("1.0.0"),
            "1.0.1",
            (),
            folder=folder,
            live=None,
            served=served,
            criteria=RollbackCriteria(),
        )
        (told,) = [check for check in written.checks if check.name == "served"]
        assert told.passed is passed


def test_check_refuses_only_the_challenger() -> None:
    with pytest.raises(Conflict, match="would be taken back"):
        check("1.1.0", deployment())
    check("1.0.0", deployment())
    check("1.0.0", None)


GIVEN = "One routing revision gives 1.0.0 all traffic at once."


@pytest.mark.parametrize(
    ("phase", "step", "actions"),
    [
        (
            Phase.PENDING,
            0,
            (
                "The deployment d1 ends: 1.1.0 gets no request, as until now.",
                "1.0.0 has all traffic, and keeps it.",
                "1.0.0 stays in Production, 1.1.0 is archived.",
            ),
        ),
        (
            Phase.RUNNING,
            0,
            (
                "The deployment d1 ends: 1.1.0 gets no mirrored request any more.",
                "1.0.0 has all traffic, and keeps it.",
                "1.0.0 stays in Production, 1.1.0 is archived.",
            ),
        ),
        (
            Phase.PAUSED,
            1,
            (
                "The deployment d1 ends: 1.1.0 gets no request any more.",
                GIVEN,
                "1.0.0 stays in Production, 1.1.0 is archived.",
            ),
        ),
        (
            Phase.SOAKING,
            4,
            (
                "The deployment d1 ends: 1.1.0 gets no request any more.",
                GIVEN,
                "1.0.0 enters Production, 1.1.0 is archived.",
            ),
        ),
    ],
    ids=["pending", "shadow", "canary", "soak"],
)
def test_plan_to_a_deployments_champion_names_only_what_changes(
    phase: Phase, step: int, actions: tuple[str, ...]
) -> None:
    """By hand as by itself, and though a worker that starts has not loaded it yet."""
    live = deployment(phase, step)
    written = write(
        version("1.0.0"),
        "1.1.0",
        (WorkerView("w", 1, (), {}),),
        folder=Check("artifacts", passed=True, detail="there"),
        live=live,
        served=True,
        criteria=RollbackCriteria(),
    )
    assert written.actions == actions
    assert automatic(live, RollbackCriteria()).actions == actions


@pytest.mark.parametrize(
    ("ready", "traffic"),
    [
        (("fraud@0.9.0",), ["One routing revision gives 0.9.0 all traffic at once."]),
        (
            (),
            [
                "The workers load 0.9.0; 1.0.0 answers meanwhile.",
                "When all of them have it, one routing revision gives 0.9.0 all traffic.",
                "If one cannot load it, 1.0.0 stays, and the rollback says why.",
            ],
        ),
    ],
    ids=["warm", "cold"],
)
def test_plan_past_a_deployments_champion_archives_both(
    ready: tuple[str, ...], traffic: list[str]
) -> None:
    written = write(
        version("0.9.0"),
        "1.1.0",
        (WorkerView("w", 1, ready, {}),),
        folder=Check("artifacts", passed=True, detail="there"),
        live=deployment(),
        served=True,
        criteria=RollbackCriteria(),
    )
    assert list(written.actions) == [
        "The deployment d1 ends: 1.1.0 gets no mirrored request any more.",
        *traffic,
        "0.9.0 enters Production, 1.1.0 and 1.0.0 are archived.",
    ]
