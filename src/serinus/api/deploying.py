"""Deployments: propose and begin them, by a whole specification or in the words of a strategy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Response

from serinus.api.admission import Form
from serinus.api.messages import Json, body, call
from serinus.api.services import Actor, Services
from serinus.app import App, views
from serinus.client import foresight, types
from serinus.delivery.planning import shares
from serinus.delivery.types import Deployment, DeploymentSpec, Strategy
from serinus.errors import InvalidInput

router = APIRouter(tags=["deployments"])

Fields = dict[str, Any]
FORMS: tuple[Form, ...] = ("json", "yaml")
"""In which a plan may be written."""

CANARY_SHARES = (0.10, 0.25, 0.50)
"""Before all traffic, where a canary is asked for by its own call and nobody says more."""


class Request(msgspec.Struct, frozen=True):
    """A deployment in common words; any field of a specification may stand beside them.

    What is left out, the model's type says, else Serinus. ``min_samples`` are the least of each
    step, or the planned sample of an A/B test.
    """

    model_name: str
    candidate_version: str
    production_version: str | None = None
    min_samples: int | None = None
    max_duration_hours: float = 72.0


class PromotingRequest(Request, frozen=True):
    """A deployment that ends with all traffic, unless a person is to be asked before."""

    auto_promote_on_success: bool = True


class CanaryRequest(PromotingRequest, frozen=True):
    """A canary; ``traffic_percentage`` is the first step's, the larger usual ones follow it."""

    traffic_percentage: float = 10.0


class RollingRequest(PromotingRequest, frozen=True):
    """Replicas replaced a batch at a time."""

    replicas: int | None = None
    batch: int = 1


class ABTestRequest(PromotingRequest, frozen=True):
    """Versions side by side.

    ``traffic_split`` is the candidate's share (0.5 is half), a list of the shares of all
    challengers (``others`` names the further ones), or a table of shares by version.
    """

    traffic_split: float | list[float] | dict[str, float] | None = None
    success_metric: str = ""
    min_duration_hours: float = 24.0
    confidence_level: float = 0.95


WORDS: Mapping[str, str] = {
    "model_name": "model",
    "candidate_version": "challenger",
    "production_version": "champion",
    "traffic_percentage": "shares",
    "traffic_split": "split",
    "success_metric": "metric",
    "min_samples": "min_requests",
    "min_duration_hours": "min_hours",
    "max_duration_hours": "max_hours",
    "confidence_level": "confidence",
    "auto_promote_on_success": "auto_promote",
}
"""By common word, the field of a specification that it means."""


def fields_of(
    asked: Mapping[str, Any], strategy: Strategy, usual: Fields, takes: type[Request]
) -> Fields:
    """The fields of a specification that a request of one strategy means.

    Args:
        asked: common words, and fields by their own names.
        strategy: of the call.
        usual: the call's own defaults, below what is asked.
        takes: the call's common words.

    Raises:
        InvalidInput: a field is given twice, by its name and by a common word.
    """
    words = _words_of(takes)
    twice = [(word, words[word]) for word in words if word in asked and words[word] in asked]
    if twice:
        raise InvalidInput(
            "a field is given twice",
            where="body",
            faults=[
                f"{word}: {field} is another name of the same; give one" for word, field in twice
            ],
        )
    said = {words.get(name, name): value for name, value in asked.items()}
    if "traffic_percentage" in asked and "traffic_percentage" in words:
        said["shares"] = _ramp(asked["traffic_percentage"])
    if "traffic_split" in asked and "traffic_split" in words:
        said |= _split(asked["traffic_split"], said.get("challenger"))
    # Faults are told in the order in which a person wrote.
    unsaid = {name: value for name, value in usual.items() if name not in said}
    return {**said, **unsaid, "strategy": strategy}


def _words_of(takes: type[Request]) -> dict[str, str]:
    """By common word of a call, the field that it means."""
    return {name: WORDS[name] for name in takes.__struct_fields__ if name in WORDS}


def _ramp(percentage: Any) -> Any:
    """The shares that a percentage begins; None, which is no list, of what is none.

    A bare number below 1 could as well be meant as a share.
    """
    try:
        if isinstance(percentage, str):
            first = shares.read(percentage) if percentage.rstrip().endswith("%") else 0.0
        else:
            first = shares.read(f"{percentage}%") if percentage >= 1 else 0.0
    except (ValueError, TypeError):
        return None
    if not 0 < first < 1:
        return None
    return [first, *(share for share in CANARY_SHARES if share > first)]


def _split(given: Any, challenger: Any) -> Fields:
    """Shares by version in the order of the challengers; the champion's own is the rest."""
    if not isinstance(given, Mapping):
        return {"split": given if isinstance(given, list) else [given]}
    if not isinstance(challenger, str):
        return {}  # refused as no version, and so its part is nobody's
    others = [version for version in given if version != challenger]
    return {"others": others, "split": [given.get(name) for name in (challenger, *others)]}


@contextmanager
def in_words_of(asked: Mapping[str, Any], takes: type[Request]) -> Iterator[None]:
    """Whatever is refused is told in the words of the request: those said, else the call's own."""
    words = _words_of(takes)
    used = {field: word for word, field in words.items() if field not in asked}
    known = dict.fromkeys((*takes.__struct_fields__, *DeploymentSpec.__struct_fields__))
    try:
        yield
    except InvalidInput as error:
        told = (_in_words(fault, used, tuple(known)) for fault in error.faults)
        raise InvalidInput(
            error.what,
            where=error.where,
            remedy=_renamed(error.remedy, used),
            faults=list(dict.fromkeys(told)),
        ) from error


_UNKNOWN = ": there is no such field"


def _in_words(fault: str, used: Mapping[str, str], known: Sequence[str]) -> str:
    field, colon, rest = fault.partition(":")
    if fault.startswith(field + _UNKNOWN):
        near = difflib.get_close_matches(field, known, n=1)
        words = [used.get(name, name) for name in near or known]
        hint = (
            f"did you mean {words[0]}?" if near else f"there are {', '.join(dict.fromkeys(words))}"
        )
        return f"{field}{_UNKNOWN}; {hint}"
    word = used.get(field, field)
    if word == "traffic_percentage":
        return (
            f"{word}: must be a percentage from 1 to below 100, such as 10; a smaller one with "
            "its sign, such as 0.5%"
        )
    return f"{word}{colon}{_renamed(rest, used)}"


def _renamed(text: str, used: Mapping[str, str]) -> str:
    """A text with the request's words; names that are words of the language are left alone."""
    names = [name for name in used if "_" in name]
    if not names:
        return text
    return re.sub(rf"\b({'|'.join(names)})\b", lambda found: used[found[0]], text)


Asked = Annotated[Fields, Depends(body(Fields, FORMS))]


@router.post(
    "/deployments", **call(takes=DeploymentSpec, gives=types.Deployment, status=201, forms=FORMS)
)
def create(asked: Asked, app: Services, actor: Actor = "api") -> Response:
    """Begin bringing a challenger to traffic. What is left out, the model's type says."""
    return Json(_view(app.delivery.create(asked, actor=actor)), status_code=201)


@router.post(
    "/deployments/forecast", **call(takes=DeploymentSpec, gives=foresight.Proposal, forms=FORMS)
)
def forecast(asked: Asked, app: Services) -> Response:
    """The plan that a specification means, how it would go and what can go wrong; nothing begins.

    What would be refused is told as faults, with remedies.
    """
    return Json(views.view(app.delivery.propose(asked), foresight.Proposal))


def _beginning(path: str, strategy: Strategy, takes: type[Request], doc: str) -> None:
    """Add ``POST /deployments/<path>``, which begins a deployment of this strategy."""

    def begin(asked: Asked, app: Services, actor: Actor = "api") -> Response:
        fields = fields_of(asked, strategy, _usual(app, asked, strategy), takes)
        with in_words_of(asked, takes):
            return Json(_view(app.delivery.create(fields, actor=actor)), status_code=201)

    begin.__doc__ = doc
    described: dict[str, Any] = call(takes=takes, gives=types.Deployment, status=201, forms=FORMS)
    # Written either way; the document names the first.
    for name in dict.fromkeys((path, path.replace("-", "_"))):
        router.add_api_route(
            f"/deployments/{name}",
            begin,
            methods=["POST"],
            name=f"begin {strategy}",
            include_in_schema=name == path,
            **described,
        )


def _usual(app: App, asked: Mapping[str, Any], strategy: Strategy) -> Fields:
    if strategy != "canary":
        return {}
    kind = app.delivery.planner.kind(str(asked.get("model_name", asked.get("model", ""))))
    return {} if kind is not None and "shares" in kind.delivery else {"shares": CANARY_SHARES}


_beginning("canary", "canary", CanaryRequest, "Begin a canary: a share of the requests, then more.")
_beginning("shadow", "shadow", Request, "Watch a version on the champion's requests, unseen.")
_beginning(
    "blue-green", "blue_green", PromotingRequest, "Watch unseen, then switch all traffic at once."
)
_beginning("rolling", "rolling", RollingRequest, "Replace replicas a batch at a time.")
_beginning("ab-test", "ab_test", ABTestRequest, "Compare versions side by side to a planned end.")


def _view(deployment: Deployment) -> types.Deployment:
    return views.view(deployment, types.Deployment)
