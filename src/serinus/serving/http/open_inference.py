"""The Open Inference Protocol, version 2, over HTTP: everything below ``/v2``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import metadata
from urllib.parse import unquote

from serinus.errors import Conflict, NotFound
from serinus.serving import answering
from serinus.serving.asking.assigning import Demand
from serinus.serving.asking.live import LiveRoute
from serinus.serving.http import demands
from serinus.serving.http.exchange import REVISION, Exchange
from serinus.serving.http.refusal import Refusal
from serinus.serving.protocols import answers, open_inference, tensors
from serinus.serving.protocols.answers import Predicted
from serinus.serving.service import Service
from serinus.serving.types import GatewayOptions
from serinus.wire import Arm

Refuse = Callable[[Exchange, Exception], None]


class OpenInference:
    """Answers requests of the protocol.

    Args:
        service: of this worker.
        options: for the limits.
        is_ready: whether predictions are being answered, and go on to be.
        refuse: answers a request with an error.
    """

    def __init__(
        self,
        service: Service,
        options: GatewayOptions,
        is_ready: Callable[[], bool],
        refuse: Refuse,
    ) -> None:
        self._service = service
        self._max_rows = options.request_max_rows
        self._max_bytes = options.request_max_bytes
        self._is_ready = is_ready
        self._refuse = refuse
        self._server = answers.encode(
            {
                "name": "serinus",
                "version": metadata.version("serinus"),
                "extensions": open_inference.EXTENSIONS,
            }
        )

    def handle(self, exchange: Exchange, _model: str | None) -> None:
        """Answer a request whose path begins with ``/v2``.

        Raises:
            SerinusError: it cannot be answered.
            Refusal: nor would it be by another method.
        """
        parts = [unquote(part) for part in exchange.path.decode("latin-1").split("/")[2:]]
        if not parts or parts == [""]:
            _only(exchange, b"GET")
            exchange.answer(200, self._server)
        elif parts in (["health", "live"], ["health", "ready"]):
            _only(exchange, b"GET")
            self._health(exchange, parts[1])
        elif parts[0] == "models" and len(parts) > 1:
            self._of_model(exchange, parts[1], parts[2:])
        else:
            raise _nothing(exchange)

    def _health(self, exchange: Exchange, what: str) -> None:
        holds = what == "live" or self._is_ready()
        exchange.answer(200 if holds else 503, answers.encode({what: holds}))

    def _of_model(self, exchange: Exchange, model: str, rest: Sequence[str]) -> None:
        version = None
        if len(rest) > 1 and rest[0] == "versions":
            version, rest = rest[1], rest[2:]
        if rest not in ([], ["ready"], ["infer"]):
            raise _nothing(exchange)
        _only(exchange, b"POST" if rest == ["infer"] else b"GET")
        live = self._service.snapshot.find(model)
        named = None if version is None else demanded(live, version)
        if rest == ["infer"]:
            self._infer(exchange, live, named)
        elif rest:
            exchange.answer(200, answers.encode({"name": model, "ready": True}))
        else:
            exchange.answer(200, answers.encode(describe(live, version)))

    def _infer(self, exchange: Exchange, live: LiveRoute, named: Demand | None) -> None:
        demand = demands.of(exchange)
        if named is not None and demand.arm not in (None, named, _version(live, named)):
            raise Conflict(
                f"the version of the path is the {named}, the header demands the {demand.arm}",
                where="x-serinus-arm",
                remedy="Leave one of them out.",
            )
        body = exchange.content(self._max_bytes)
        asked = open_inference.read(body, exchange.header(open_inference.HEADER_LENGTH))
        manifest = live.champion.runtime.manifest
        tensors.check_outputs(asked.outputs, manifest)
        with self._service.counters.violations.of(live.route.model, live.decoder.inputs):
            rows = tensors.features(asked.tensors, live.decoder.inputs, self._max_rows)

        def answered(found: list[Predicted] | Exception) -> None:
            if isinstance(found, Exception):
                self._refuse(exchange, found)
                return
            body, size = open_inference.answer(found, manifest, asked)
            headers = [(REVISION, b"%d" % live.revision)]
            if size is None:
                exchange.answer(200, body, headers=headers)
            else:
                headers.append((open_inference.HEADER_LENGTH, b"%d" % size))
                exchange.answer(200, body, open_inference.BINARY, headers)

        answering.ask(
            self._service,
            live,
            rows,
            answered,
            demand=named or demand.arm,
            entity=asked.entity,
            seconds=demand.seconds,
        )


def demanded(live: LiveRoute, version: str) -> Demand:
    """Whom a request demands that names a version of a model: its arm, if that says as much.

    Raises:
        NotFound: it is not being served.
    """
    found = live.place(version)
    if found is None:
        raise NotFound(
            f"version {version[:50]!r} of {live.route.model!r} is not being served",
            where="version",
            remedy=f"There is: {', '.join(lane.version for lane in live.answering)}.",
        )
    arm, variant = found
    return version if variant else arm


def describe(live: LiveRoute, version: str | None) -> open_inference.Metadata:
    """What a model takes and gives, as one of its versions does; None is the champion."""
    found = live.place(version) if version is not None else None
    lane = live.lane(*found) if found is not None else live.champion
    return open_inference.metadata(
        live.decoder.inputs,
        lane.runtime.manifest,
        [served.version for served in live.answering],
    )


def _version(live: LiveRoute, demand: Demand) -> str:
    """The version that a demand is for."""
    return live.lane(demand).version if isinstance(demand, Arm) else demand


def _only(exchange: Exchange, allowed: bytes) -> None:
    method = exchange.method
    if method != allowed and not (method == b"HEAD" and allowed == b"GET"):
        raise Refusal(
            405,
            f"{exchange.path.decode('latin-1')[:200]} answers {allowed.decode()} only",
            headers=((b"allow", allowed),),
        )


def _nothing(exchange: Exchange) -> NotFound:
    return NotFound(
        f"there is nothing at {exchange.path.decode('latin-1')[:200]}",
        remedy="POST /v2/models/NAME/infer answers.",
    )
