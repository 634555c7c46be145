"""Many incidents at once in one installation: each model has its own, and they do not mix.

Traffic is scripted, so that a hundred incidents take minutes; the control plane that folds, judges,
takes back and verifies is the real one, and people ask it over HTTP.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from sqlalchemy import select

from serinus import clock
from serinus.chaos.lockstep import Control, Lockstep, filed
from serinus.chaos.scene import Scene
from serinus.chaos.script import CHALLENGER, Behaviour, Script
from serinus.chaos.types import Orders
from serinus.client import Serinus
from serinus.processes import ports
from serinus.store import schema
from serinus.store.engine import reading

Cause: TypeAlias = Literal["model", "upstream"]
"""``model``: a challenger turns bad amid its rollout, and its evidence takes it back.
``upstream``: a feed breaks that both versions need, and a person takes back what is newest."""

Harm: TypeAlias = Literal["errors", "latency", "answers"]
MODELS = tuple(f"patient-{number}" for number in range(25))
"""So many at once fit into one installation."""

RIGHT: dict[Cause, str] = {"model": "verified", "upstream": "not_the_model"}

_HOST = "127.0.0.1"
# Traffic before anything happens: the earlier range that the signs of life must come back to.
_BEFORE = 12
# Batches of the rollout before the feed breaks.
_ROLLOUT = 3
_MOST_BATCHES = 60
# A verification is looked at about once a second of real time; of many, each less often.
_LOOK_SECONDS = 1.1
_SECONDS_EACH = 0.05
# A batch of many incidents takes about a second: neither who decides nor who waits is in a hurry.
_PACE = {"controller_interval_seconds": "0.05"}
_POLL_SECONDS = 0.03
_SPEC = {
    "shares": [0.2, 0.5],
    "shadow": False,
    "min_requests": 300,
    "label_window_seconds": 30 * 86_400.0,
}


@dataclass(frozen=True)
class Incident:
    """What befalls a model, by its seed; ``harm`` is what is harmed."""

    cause: Cause
    seed: int

    @property
    def harm(self) -> Harm:
        """Each in turn."""
        harms: tuple[Harm, ...] = get_args(Harm)
        return harms[self.seed % len(harms)]

    def __str__(self) -> str:
        return f"{self.cause}, seed {self.seed}, {self.harm}"

    def script(self, model: str) -> Script:
        """The traffic of the model that it befalls."""
        chance = random.Random(f"{self.cause} {self.seed}")
        bad = {
            "errors": Behaviour(failing=chance.uniform(0.15, 0.6)),
            "latency": Behaviour(latency_us=900.0 * chance.uniform(3.0, 8.0)),
            "answers": Behaviour(wrong=chance.uniform(0.4, 0.9)),
        }[self.harm]
        named = Script(
            str(self),
            {**_SPEC, "approvals": self.cause == "upstream"},
            requests=600,
            most_batches=_MOST_BATCHES,
            seed=self.seed,
            model=model,
        )
        if self.cause == "model":
            return replace(named, bad=bad, bad_from=0.5)
        return replace(named, upstream=bad, upstream_from=_BEFORE + _ROLLOUT)


@dataclass(frozen=True)
class Found:
    """What was found of one incident.

    Attributes:
        incident: which.
        state: in which the rollback ended; "" if it came to no end.
        said: why, in words.
        harmed: requests that were given to the bad challenger.
        seconds: of the script's time from the rollback to its end.
    """

    incident: Incident
    state: str
    said: str
    harmed: int
    seconds: float

    @property
    def right(self) -> bool:
        """Whether the cause was found."""
        return self.state == RIGHT[self.incident.cause]

    def told(self) -> str:
        """In words, with what it takes to see it again."""
        return f"{self.incident}: {self.state or 'no end'}, {self.said}"


def suffer(
    place: Scene,
    incidents: Sequence[Incident],
    is_called_off: Callable[[], bool] = lambda: False,
) -> list[Found]:
    """Let all of these happen at once.

    Args:
        place: with a champion and a challenger of each of MODELS; it is used up.
        incidents: no more than there are of these.
        is_called_off: whether nobody waits for it any more.

    Raises:
        Unavailable: a batch was not decided in time.
    """
    home, port = place.home, ports.free(_HOST)
    one = Control(home, place.address, filed(Orders(record=""), home), _PACE, port=port)
    beds = dict(zip(MODELS, incidents, strict=False))
    first, *others = [incident.script(model) for model, incident in beds.items()]
    ward = _Ward(beds, port)
    with Lockstep(
        place, first, [one], moment=home / "moment", beside=others, look_seconds=_POLL_SECONDS
    ) as run:
        run.write(ward.between, lambda: not is_called_off() and ward.goes_on(run))
        return ward.found(run)


class _Ward:
    """The incidents of one installation as they go on.

    Args:
        beds: each incident by the model that it befalls.
        port: of its control plane.
    """

    def __init__(self, beds: Mapping[str, Incident], port: int) -> None:
        self._beds = beds
        self._port = port
        self._open = set(beds)
        self._looked = 0.0

    def between(self, run: Lockstep) -> None:
        """Before a batch: a deployment begins, or somebody takes back what is newest."""
        if run.batches == _BEFORE:
            with self._client() as client:
                for model, incident in self._beds.items():
                    client.deploy(model, CHALLENGER, **incident.script(model).spec)
        # The first batch of a broken feed is behind it: its harm is what the person has seen.
        if run.batches == _BEFORE + _ROLLOUT + 1:
            with self._client() as client:
                for model, incident in self._beds.items():
                    if incident.cause == "upstream":
                        client.rollback(model, reason="answers are harmed")

    def goes_on(self, run: Lockstep) -> bool:
        """Whether an incident is still open."""
        if run.batches > _BEFORE:
            for row in _rollbacks(run):
                if row["ended_at"] is not None:
                    self._open.discard(row["model"])
                    run.scribe.drop(row["model"])
            self._rest()
        return bool(self._open) and run.batches < _MOST_BATCHES

    def found(self, run: Lockstep) -> list[Found]:
        """What was found of each."""
        rows = {row["model"]: row for row in _rollbacks(run)}
        return [
            _found(incident, rows.get(model), run.scribe.harmed[model])
            for model, incident in self._beds.items()
        ]

    def _rest(self) -> None:
        """See to it that each open verification is looked at before there is more to see."""
        due = self._looked + max(_LOOK_SECONDS, _SECONDS_EACH * len(self._open))
        clock.sleep(max(0.0, due - clock.monotonic()))
        self._looked = clock.monotonic()

    def _client(self) -> Serinus:
        return Serinus(f"http://{_HOST}:{self._port}", "", actor="chaos", patience=0)


def _found(incident: Incident, row: Any, harmed: int) -> Found:
    if row is None or row["ended_at"] is None:
        return Found(incident, "", "the rollback did not end", harmed, 0.0)
    took = (row["ended_at"] - row["started_at"]).total_seconds()
    return Found(incident, str(row["state"]), str(row["steps"][-1]["reason"]), harmed, took)


def _rollbacks(run: Lockstep) -> list[Any]:
    table = schema.rollbacks
    with reading(run.engine) as connection:
        return list(connection.execute(select(table).order_by(table.c.id)).mappings())
