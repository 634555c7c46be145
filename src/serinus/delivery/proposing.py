"""What is asked for, seen against the versions that there are: checked whole, planned, forecast."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, get_args

import msgspec
from sqlalchemy import Connection, Engine, select

from serinus import clock
from serinus.delivery import eligible
from serinus.delivery.experiments import setup
from serinus.delivery.forecast import feasibility
from serinus.delivery.forecast.types import Proposal, Traffic
from serinus.delivery.planning import faults as faulty
from serinus.delivery.planning import plan as plans
from serinus.delivery.planning import uses
from serinus.delivery.planning.decoding import decode
from serinus.delivery.planning.defaults import specification
from serinus.delivery.planning.plan import Basis, score_cuts
from serinus.delivery.planning.positives import second_claimed
from serinus.delivery.planning.strategies import complete
from serinus.delivery.records import deployments, workers
from serinus.delivery.types import DeploymentSpec
from serinus.errors import InvalidInput, NotFound, SerinusError
from serinus.registry import model_types
from serinus.registry.model_types import ModelType, Task
from serinus.registry.service import Registry
from serinus.registry.types import ModelVersion
from serinus.stats import class_tallies
from serinus.store import schema
from serinus.store.engine import reading
from serinus.wire import BreakerRules

Asked: TypeAlias = DeploymentSpec | Mapping[str, Any]
"""A whole specification, or the fields that were said: what is left out, the model type says."""


@dataclass(frozen=True)
class Proposed:
    """A proposal, the specification it was made of, and the versions that it is about.

    ``others`` are the further challengers of an A/B test; ``champion`` is None where there is
    none yet.
    """

    spec: DeploymentSpec
    challenger: ModelVersion
    champion: ModelVersion | None
    proposal: Proposal
    others: tuple[ModelVersion, ...] = ()


# What every specification names.
_NAMES = ("model", "challenger")
_MOST_NAMED = 20


def _unseen(model: str, version: str) -> Traffic | None:
    return None


@dataclass(frozen=True)
class Planner:
    """Makes plans of what is asked for; changes nothing.

    Attributes:
        engine: the store.
        registry: where versions are and which of them holds Production.
        observe: what the traffic of a model and version was like lately; None if unknown.
        types: what each type of model is held to.
        defaults: fields that the installation sets, below a model type's and above Serinus's own.
        worker_seconds: a gateway worker silent for longer is taken for dead.
    """

    engine: Engine
    registry: Registry
    observe: Callable[[str, str], Traffic | None] = _unseen
    types: Mapping[str, ModelType] = field(default_factory=model_types.load)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    worker_seconds: float = 10.0

    def propose(self, asked: Asked) -> Proposed:
        """The plan of what is asked for with its forecast, and what would keep it from beginning.

        Raises:
            NotFound: the model or a version of it does not exist, and that is all.
            Conflict: the version cannot be a challenger, and that is all.
            InvalidInput: no plan can be made; every fault is listed.
        """
        found = self._found(asked)
        _refuse(found, found.refusals)
        proposed = self._forecast(found, salt="", harms=True)
        blocked = tuple(_line(error) for error in found.overlap)
        proposal = msgspec.structs.replace(
            proposed.proposal, faults=(*blocked, *proposed.proposal.faults)
        )
        return replace(proposed, proposal=proposal)

    def accept(self, asked: Asked, *, salt: str) -> Proposed:
        """The same for a plan that is to be carried out.

        Args:
            asked: what is asked for.
            salt: what the arms are drawn with, the deployment's id.

        Raises:
            NotFound, Conflict, InvalidInput: as :meth:`propose`, and where another deployment of
                the model is live, or the plan cannot decide with the traffic there is.
        """
        found = self._found(asked)
        _refuse(found, [*found.refusals, *found.overlap])
        proposed = self._forecast(found, salt=salt, harms=False)
        if proposed.proposal.faults:
            raise InvalidInput(
                "this plan could not decide",
                where=found.where,
                faults=proposed.proposal.faults,
                remedy=feasibility.remedy(proposed.proposal.remedies),
            )
        return proposed

    def kind(self, model: str) -> ModelType | None:
        """What a model is held to; None of one that nobody knows."""
        newest = self.registry.newest(model)
        if newest is None:
            return None
        return model_types.type_of(self.types, newest.model_type, newest.task)

    def breakers(self, connection: Connection) -> dict[str, BreakerRules]:
        """By model, the rules of those whose type has its own."""
        own = {name for name, kind in self.types.items() if kind.breaker != BreakerRules()}
        if not own:
            return {}
        rows = schema.models.c
        query = select(rows.name, rows.model_type, rows.task)
        if own.isdisjoint(get_args(Task)):
            # Else a type that nobody knows has some, too, as it is its task's.
            query = query.where(rows.model_type.in_(own))
        return {
            row.name: model_types.type_of(self.types, row.model_type, row.task).breaker
            for row in connection.execute(query)
        }

    # ---------------------------------------------------------------- looking

    def _found(self, asked: Asked) -> _Found:
        """Everything that is asked for beside everything that speaks against it."""
        said, wrong = _read(asked)
        model = str(said.get("model", ""))
        wrong = [fault for fault in wrong if ": missing" not in fault]
        wrong += [f"{name}: missing; {self._choice(name, model)}" for name in _unsaid(asked, said)]
        where = f"deployment of {model} {said.get('challenger', '')}".rstrip()
        named = (said.get("challenger"), *said.get("others", ()), said.get("champion"))
        versions, refusals = self._versions(model, [name for name in named if name])
        champion = self.registry.champion(model) if versions else None
        asked_for = [name for name in named[:-1] if name in versions]
        challengers = tuple(versions[name] for name in dict.fromkeys(asked_for))
        if versions:
            refusals += eligible.named(champion, said.get("champion"), where)
            refusals += eligible.against(model, champion, challengers)
        type_name, kind = self._type(champion, challengers)
        below = {} if isinstance(asked, DeploymentSpec) or kind is None else kind.delivery
        spec = complete(specification(said, below, self.defaults), workers=self._workers())
        first = bool(versions) and champion is None
        task = kind.task if kind else None
        own = "" if "strategy" in said or "strategy" not in below else type_name
        wrong += _ignored(asked, said, spec, task, own=own)
        for fault in faulty.of(spec, first=first, task=task):
            name = fault.partition(":")[0]
            by_type = name in below and name not in said
            wrong.append(f"{fault} (by the model type {type_name})" if by_type else fault)
        if champion is not None and spec.strategy == "ab_test":
            wrong += setup.faults(champion.manifest, spec.covariate or None)
        with reading(self.engine) as connection:
            live = next(iter(deployments.live(connection, model)), None)
        overlap = list(eligible.overlapping(live, where))
        return _Found(spec, where, champion, challengers, type_name, kind, refusals, overlap, wrong)

    def _choice(self, name: str, model: str) -> str:
        """Which models or versions there are to be named."""
        if name == "model":
            there = [entry.name for entry in self.registry.models(_MOST_NAMED)]
            return f"name the model, one of {', '.join(there)}" if there else "name the model"
        champion = self.registry.champion(model) if model else None
        found = self.registry.versions(model, _MOST_NAMED) if self._knows(model) else []
        fit = [item.version for item in found if not item.failed_gates and item != champion]
        if not fit:
            return "name the version to bring to traffic"
        return f"name the version to bring to traffic, one of {', '.join(fit)}"

    def _knows(self, model: str) -> bool:
        return bool(model) and self.registry.newest(model) is not None

    def _versions(
        self, model: str, names: Iterable[str]
    ) -> tuple[dict[str, ModelVersion], list[SerinusError]]:
        """The versions of these names, and an error for each that there is not."""
        found: dict[str, ModelVersion] = {}
        missing: dict[str, SerinusError] = {}
        for name in names if model else ():
            try:
                found[name] = self.registry.get(model, name)
            except NotFound as error:
                missing.setdefault(error.what, error)  # of an unknown model all say the same
        return found, list(missing.values())

    def _type(
        self, champion: ModelVersion | None, challengers: tuple[ModelVersion, ...]
    ) -> tuple[str, ModelType | None]:
        known = next((version for version in (*challengers, champion) if version), None)
        if known is None:
            return "", None
        return known.model_type, model_types.type_of(self.types, known.model_type, known.task)

    def _workers(self) -> int:
        with reading(self.engine) as connection:
            return len(workers.read(connection, clock.now(), self.worker_seconds))

    def _forecast(self, found: _Found, *, salt: str, harms: bool) -> Proposed:
        champion, (challenger, *others) = found.champion, found.challengers
        observed = self.observe(champion.model, champion.version) if champion else None
        lately = feasibility.enough(observed)
        basis = _basis(champion, challenger, found.kind, self._workers(), lately)
        proposal = feasibility.propose(found.spec, basis, observed, salt=salt, harms=harms)
        spec = plans.whole(found.spec, basis)
        return Proposed(spec, challenger, champion, proposal, tuple(others))


@dataclass(frozen=True)
class _Found:
    """What is asked for, the versions that there are of it, and all that is wrong.

    Attributes:
        spec: nothing left out; fields that could not be used have their defaults.
        where: the deployment, for messages.
        refusals: of versions.
        overlap: the deployment that is live.
        faults: of fields.
    """

    spec: DeploymentSpec
    where: str
    champion: ModelVersion | None
    challengers: tuple[ModelVersion, ...]
    type_name: str
    kind: ModelType | None
    refusals: list[SerinusError]
    overlap: list[SerinusError]
    faults: list[str]


def _unsaid(asked: Asked, said: Mapping[str, Any]) -> list[str]:
    """The names that are missing, or empty; one that cannot be used was said."""
    given = said if isinstance(asked, DeploymentSpec) else asked
    return [name for name in _NAMES if given.get(name, "") == ""]


def _ignored(
    asked: Asked, said: Mapping[str, Any], spec: DeploymentSpec, task: str | None, *, own: str
) -> Iterator[str]:
    """A fault for each field that a person named and the strategy ignores.

    ``own`` is the model type whose strategy it is, if nobody named one. A whole specification does
    not tell what of it was said.
    """
    if isinstance(asked, DeploymentSpec) or ("strategy" in asked and "strategy" not in said):
        return
    named = [name for name in asked if name in DeploymentSpec.__struct_fields__]
    for fault in uses.faults(spec, named, task):
        yield f"{fault} ({spec.strategy} by the model type {own})" if own else fault


def _read(asked: Asked) -> tuple[dict[str, Any], list[str]]:
    if isinstance(asked, DeploymentSpec):
        return msgspec.structs.asdict(asked), []
    return decode(asked)


def _refuse(found: _Found, refusals: Sequence[SerinusError]) -> None:
    """Raise everything at once; what is alone keeps its own kind."""
    if len(refusals) == 1 and not found.faults:
        raise refusals[0]
    faults = [*(_line(error) for error in refusals), *found.faults]
    if faults:
        raise InvalidInput(
            "the plan cannot be carried out",
            where=found.where,
            faults=faults,
            remedy="Correct these; nothing was changed.",
        )


def _line(error: SerinusError) -> str:
    """An error as one fault among others."""
    told = f"{error.what} ({'; '.join(error.faults)})" if error.faults else error.what
    return f"{told}. {error.remedy}" if error.remedy else told


def _basis(
    champion: ModelVersion | None,
    challenger: ModelVersion,
    kind: ModelType | None,
    workers: int,
    lately: Traffic | None,
) -> Basis:
    """What a plan is made from: the champion's own figures, or a first version's."""
    known = champion or challenger
    return Basis(
        quality=plans.quality_scale(known.task, known.metrics),
        score_cuts=score_cuts(known.reference),
        classes=known.manifest.classes,
        first=champion is None,
        workers=workers,
        breaker=kind.breaker if kind else BreakerRules(),
        loss=lately.loss if lately else None,
        tallies=class_tallies.read(known.reference),
        second=second_claimed(known.reference),
    )
