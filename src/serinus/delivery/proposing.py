"""What a specification means for the versions that there are: checked, planned and forecast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine

from serinus.delivery.forecast import feasibility
from serinus.delivery.forecast.types import Proposal, Traffic
from serinus.delivery.planning import plan as plans
from serinus.delivery.planning.plan import Basis, score_cuts
from serinus.delivery.types import DeploymentSpec
from serinus.errors import Conflict, InvalidInput
from serinus.registry import model_types
from serinus.registry.model_types import ModelType
from serinus.registry.service import Registry
from serinus.registry.types import ModelVersion


@dataclass(frozen=True)
class Proposed:
    """A proposal and the versions that it is about; no champion where there is none yet."""

    challenger: ModelVersion
    champion: ModelVersion | None
    proposal: Proposal


def _unseen(model: str, version: str) -> Traffic | None:
    return None


@dataclass(frozen=True)
class Planner:
    """Makes plans of specifications; changes nothing.

    Attributes:
        engine: the store.
        registry: where versions are and which of them holds Production.
        observe: what the traffic of a model and version was like lately; None if unknown.
        types: what each type of model is held to.
    """

    engine: Engine
    registry: Registry
    observe: Callable[[str, str], Traffic | None] = _unseen
    types: Mapping[str, ModelType] = field(default_factory=model_types.load)

    def propose(self, spec: DeploymentSpec, *, salt: str = "", harms: bool = True) -> Proposed:
        """The plan of a specification with its forecast.

        Args:
            spec: what was asked for.
            salt: what the arms are drawn with, a deployment's id.
            harms: whether harmful challengers are forecast as well.

        Raises:
            NotFound: the model or a version of it does not exist.
            InvalidInput: no plan can be made; every fault is listed.
            Conflict: the version cannot be a challenger.
        """
        challenger, champion = self._versions(spec)
        observed = self.observe(champion.model, champion.version) if champion else None
        basis = _basis(champion, challenger)
        proposal = feasibility.propose(spec, basis, observed, salt=salt, harms=harms)
        return Proposed(challenger, champion, proposal)

    def accept(self, spec: DeploymentSpec, *, salt: str) -> Proposed:
        """The same for a plan that is to be carried out.

        Raises:
            InvalidInput: also if the plan cannot decide with the traffic there is; every fault is
                listed, with changes that would help.
        """
        found = self.propose(spec, salt=salt, harms=False)
        if found.proposal.faults:
            raise InvalidInput(
                "this plan could not decide",
                where=f"deployment of {spec.model} {spec.challenger}",
                faults=found.proposal.faults,
                remedy=feasibility.remedy(found.proposal.remedies),
            )
        return found

    def _versions(self, spec: DeploymentSpec) -> tuple[ModelVersion, ModelVersion | None]:
        """The challenger, and the champion if there is one, after checking that they can be."""
        challenger = self.registry.get(spec.model, spec.challenger)
        champion = self.registry.champion(spec.model)
        self._check(spec, challenger, champion)
        return challenger, champion

    def _check(
        self, spec: DeploymentSpec, challenger: ModelVersion, champion: ModelVersion | None
    ) -> None:
        where = f"deployment of {spec.model} {spec.challenger}"
        if spec.champion is not None:
            self.registry.get(spec.model, spec.champion)
            holder = champion.version if champion else "none"
            if spec.champion != holder:
                raise Conflict(
                    f"version {spec.champion} does not hold Production, {holder} does",
                    where=where,
                    remedy="Leave the champion out, or name the one that holds Production.",
                )
        if champion is not None and champion.version == challenger.version:
            raise Conflict(
                f"version {challenger.version} is the champion already",
                where=where,
                remedy="Deploy another version.",
            )
        failed = [f"{gate.name}: {gate.detail}" for gate in challenger.gates if not gate.passed]
        if failed:
            raise InvalidInput(
                f"version {challenger.version} did not pass its gates",
                where=where,
                faults=failed,
                remedy="Train a version that passes them.",
            )
        if champion is not None and _asked(champion) != _asked(challenger):
            raise InvalidInput(
                f"version {challenger.version} takes other inputs than the champion "
                f"{champion.version}, so they cannot answer the same requests",
                where=where,
                remedy="Register it as a model of its own, or keep the inputs.",
            )


def _asked(version: ModelVersion) -> list[tuple[str, str, bool]]:
    """What a request must hold for a version: not what it was trained on, which may well differ."""
    return [(item.name, item.type, item.required) for item in version.manifest.inputs]


def _basis(champion: ModelVersion | None, challenger: ModelVersion) -> Basis:
    """What a plan is made from: the champion's own figures, or a first version's."""
    known = champion or challenger
    return Basis(
        quality=plans.quality_scale(known.task, known.metrics),
        score_cuts=score_cuts(known.reference),
        classes=known.manifest.classes,
        first=champion is None,
    )
