"""The only types both planes share: the routing table goes down, events come up.

Also the manifest, which travels inside a model's artifact folder, so that a gateway can serve
a version knowing nothing but where that folder is.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

import msgspec

Cell: TypeAlias = float | int | str | bool | None
"""One input value of one request; ``None`` is missing."""

Answer: TypeAlias = float | int | str | bool
"""What a model predicts, and what a label says was true: a number or a class."""

MANIFEST_FILE = "serinus.json"

PACKAGE_FILE = "serinus-package.json"

_HIGHEST = 1.7976931348623157e308


class Arm(StrEnum):
    """The role in which a version was chosen for a request."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    SHADOW = "shadow"
    """A copy of a champion's request, answered by the challenger after the answer has left."""
    CLONE = "clone"
    """The same, answered by the champion once more: what it differs from itself is noise."""
    STAGING = "staging"
    """Asked at the staging endpoint: production never sees it, and it is no evidence."""


class Field(msgspec.Struct, frozen=True):
    """One input of a model, in the order of its signature.

    Numbers below ``low`` or above ``high`` are far from all that the version was trained on, and
    so are texts that are none of ``known``; unset, nothing is said of that.
    """

    name: str
    type: Literal["double", "long", "boolean", "string"]
    required: bool = False
    low: float | msgspec.UnsetType = msgspec.UNSET
    high: float | msgspec.UnsetType = msgspec.UNSET
    known: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class Manifest(msgspec.Struct, frozen=True):
    """What a gateway must know of a model version beside its weights."""

    model: str
    task: Literal["classification", "regression"]
    inputs: tuple[Field, ...]
    target: str
    classes: tuple[str | int | bool, ...] = ()
    example: dict[str, Cell] = {}

    def fitting(self, answer: Answer) -> Answer | None:
        """An answer that somebody gives in the model's place, as the model would say it.

        None if it can say no such thing: a classifier only its classes, a regression any finite
        number.
        """
        if self.task == "regression":
            if isinstance(answer, bool | str) or not -_HIGHEST <= answer <= _HIGHEST:
                return None
            return float(answer)
        # True == 1 in Python, but a boolean is no class of a model whose classes are numbers.
        same = (
            name
            for name in self.classes
            if name == answer and isinstance(name, bool) is isinstance(answer, bool)
        )
        return next(same, None) if self.classes else answer


class Attempt(msgspec.Struct, frozen=True):
    """One form of a version that was tried for serving, and what became of it.

    Args:
        form: ``onnx``, ``onnx-int8``, ….
        outcome: ``used``, ``proven`` (another one is used), or why it is not, in words.
        seconds: what converting and proving took.
        bytes: size of the file, 0 if none was made.
        rows: real rows on which it was compared, 0 if it came to no comparison.
        variations: hostile variations of them that were compared too.
        difference: the largest one found, None if it came to no comparison.
        speedup: by rows of a call (``"1"``, ``"32"``), how many times faster than the original.
        original_us: by rows of a call, microseconds of the original.
    """

    form: str
    outcome: str
    seconds: float = 0.0
    bytes: int = 0
    rows: int = 0
    variations: int = 0
    difference: float | None = None
    speedup: dict[str, float] = {}
    original_us: dict[str, float] = {}


class Package(msgspec.Struct, frozen=True):
    """In which form a version is served, and the proof that this form is the version.

    A file beside the manifest, written at registration; without it the original is served.

    Args:
        form: what a worker loads.
        path: of the file in use, relative to the version's folder; empty for the original.
        opset: of the ONNX graph.
        tolerance: largest difference of a score or value that was allowed, relative to the
            larger of the value and 1.
        difference: largest difference that was found.
        rows: real rows on which the two were equal.
        attempts: everything that was tried, the one in use included.
        python: the interpreter of a version that runs in a process of its own; empty for the
            gateway's.
    """

    form: Literal["onnx", "estimator", "pyfunc", "process"]
    path: str = ""
    opset: int = 0
    tolerance: float = 0.0
    difference: float = 0.0
    rows: int = 0
    attempts: tuple[Attempt, ...] = ()
    python: str = ""


# ------------------------------------------------------------------ routing, downwards


class Target(msgspec.Struct, frozen=True):
    """A version and where its artifact folder is."""

    version: str
    uri: str


class BreakerRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a version is asked no more.

    Of at least ``rows`` rows within ``window_seconds`` ``failing_share`` failed. After
    ``rest_seconds`` (each time twice as long, up to ``longest_rest_seconds``) ``probes`` rows must
    succeed before it is asked again.
    """

    rows: int = 20
    failing_share: float = 0.5
    window_seconds: float = 10.0
    rest_seconds: float = 2.0
    longest_rest_seconds: float = 60.0
    probes: int = 5


class Variant(msgspec.Struct, frozen=True):
    """One more challenger: it has the positions from ``start`` to ``start + share``, in [0, 1]."""

    target: Target
    start: float
    share: float


class Route(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who serves one model.

    ``share`` is the challenger's share of requests; ``mirror`` the share of the champion's
    requests that the challenger also scores, unseen, after the answer has left; ``clone`` the
    share of those that the champion scores once more. ``others`` are the further challengers of
    an experiment: who is dropped keeps its place with share 0. ``staging`` is asked at the staging
    endpoint alone. ``default`` is answered where no version can; None answers with the failure.
    ``stands_in`` says that the challenger was the champion before and answers what the champion
    fails. ``warm`` are loaded and asked by nobody: a switch to them finds them ready. Until
    ``alone_until`` (epoch microseconds) the default alone answers and no version is asked.
    """

    model: str
    champion: Target
    challenger: Target | None = None
    share: float = 0.0
    mirror: float = 0.0
    unit: Literal["request", "entity"] = "request"
    salt: str = ""
    deployment: str = ""
    step: int = 0
    clone: float = 0.0
    others: tuple[Variant, ...] = ()
    staging: Target | None = None
    breaker: BreakerRules = BreakerRules()
    default: Answer | None = None
    stands_in: bool = False
    warm: tuple[Target, ...] = ()
    alone_until: int = 0


class RoutingTable(msgspec.Struct, frozen=True):
    """An immutable snapshot: every answer names the revision that it was given under.

    ``staging`` are the versions in Staging of models that nobody serves: with nothing in
    Production they have no route.
    """

    revision: int
    routes: dict[str, Route]
    staging: dict[str, Target] = {}


# ------------------------------------------------------------------ events, upwards
#
# They hold plain values only, so no ring of them can ever be: ``gc=False`` spares the collector
# from looking at each of the thousands that a busy worker makes in a second.


class Output(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A prediction; for a classifier also the probability of each of the manifest's classes."""

    value: Answer
    scores: tuple[float, ...] = ()


FORCED = -1
"""The step of a request whose client named who shall answer: it belongs to none."""


class Assignment(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """How a request was routed: fixed before any version saw it.

    ``share`` is the *configured* share of the challenger in force at that moment, ``unit`` a
    64-bit hash of the entity (0 when each request is its own unit). Where there are several
    challengers, ``share`` is that of all of them, ``shares`` are those of each, and ``variant`` is
    the place of the one that was drawn (0 is the route's ``challenger``).
    """

    model: str
    arm: Arm
    share: float
    revision: int
    deployment: str = ""
    step: int = 0
    unit: int = 0
    variant: int = 0
    shares: tuple[float, ...] = ()


class Prediction(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="prediction"):
    """An acknowledged answer. One request, one event: this or a :class:`Failure`.

    ``version`` answered. If the assigned arm could not, ``fallback`` says why and the champion (in
    the soak, for the champion, the former one) answered instead: the request still counts as the
    assigned arm's failure. ``latency_us`` is how long the calls took that it was in, without what
    it waited for others: that is the arms' alike, or tells of the load and not of a version.
    """

    at: int
    assignment: Assignment
    version: str
    features: tuple[Cell, ...]
    output: Output
    latency_us: int
    fallback: str = ""


class Failure(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="failure"):
    """A request that the assigned arm failed and nobody could answer in its place.

    ``version`` was the last one asked, and ``reason`` is why it did not answer. If that was the
    champion in a challenger's place, ``fallback`` is why the challenger did not. ``default`` is
    what the client was answered all the same, where its route has such an answer. ``features`` are
    those of a :class:`Prediction`; older events have none.
    """

    at: int
    assignment: Assignment
    version: str
    reason: str
    latency_us: int
    fallback: str = ""
    default: Answer | None = None
    features: tuple[Cell, ...] = ()


class Shadow(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="shadow"):
    """The challenger's answer to a request that the champion had before.

    ``prediction`` is the id of the champion's event. ``champion`` is None if the champion failed,
    ``output`` if the challenger did, and ``failure`` then says how. Both must be told: counting one
    side's failures alone would make any challenger look worse.
    """

    at: int
    prediction: bytes
    assignment: Assignment
    version: str
    champion: Output | None
    output: Output | None
    latency_us: int
    failure: str = ""


class Label(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="label"):
    """What turned out to be true, with the prediction's own facts, however late it came."""

    at: int
    prediction: bytes
    value: Answer
    predicted_at: int
    assignment: Assignment
    version: str
    output: Output


class Value(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="value"):
    """What an answer turned out to be worth to the business, however late that was known.

    ``value`` is finite, in the unit that the deployment's business scale is given in. One value a
    prediction counts: the first.
    """

    at: int
    prediction: bytes
    value: float
    predicted_at: int
    assignment: Assignment
    version: str


class WorkerStatus(msgspec.Struct, frozen=True, array_like=True, tag="worker"):
    """What a gateway worker has in force; written at each change and every few seconds.

    ``ready`` and ``failed`` hold versions as ``model@version``; ``failed`` with the reason.
    ``circuits`` are those of its breakers that are not closed: ``open`` or ``half-open``.
    """

    at: int
    worker: str
    revision: int
    ready: tuple[str, ...]
    failed: dict[str, str]
    circuits: dict[str, str] = {}


Event: TypeAlias = Prediction | Failure | Shadow | Label | Value | WorkerStatus
"""Everything the data plane tells the control plane."""
