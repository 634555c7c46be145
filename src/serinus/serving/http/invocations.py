"""MLflow's scoring protocol over HTTP: ``/invocations``, ``/ping`` and ``/version``."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

from serinus.errors import InvalidInput
from serinus.serving import answering
from serinus.serving.http import demands
from serinus.serving.http.exchange import REVISION, Exchange
from serinus.serving.http.refusal import Refusal
from serinus.serving.protocols import answers, invocations
from serinus.serving.protocols.answers import Predicted
from serinus.serving.service import Service
from serinus.serving.types import GatewayOptions

Refuse = Callable[[Exchange, Exception], None]


class Invocations:
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
        # Clients ask for it to know which form of the protocol is spoken.
        self._version = metadata.version("mlflow").encode()

    def ping(self, exchange: Exchange, _model: str | None) -> None:
        """Whether a model is there to be asked."""
        exchange.answer(200 if self._is_ready() else 503, b"\n", b"text/plain")

    def version(self, exchange: Exchange, _model: str | None) -> None:
        """The version of MLflow whose protocol this is."""
        exchange.answer(200, self._version, b"text/plain")

    def invoke(self, exchange: Exchange, model: str | None) -> None:
        """Answer rows.

        Raises:
            SerinusError: they cannot be answered.
            Refusal: the content type cannot be read.
        """
        try:
            kind = invocations.media_type(exchange.header(b"content-type"))
        except InvalidInput as error:
            raise Refusal(415, f"{error.where}: {error.what}", remedy=error.remedy) from error
        demand = demands.of(exchange)
        live = self._service.snapshot.find(model)
        body = exchange.content(self._max_bytes)
        with self._service.counters.violations.of(live.route.model, live.decoder.inputs):
            rows = invocations.rows(body, kind, live.decoder.inputs, self._max_rows)

        def answered(found: list[Predicted] | Exception) -> None:
            if isinstance(found, Exception):
                self._refuse(exchange, found)
                return
            headers = [(REVISION, b"%d" % live.revision)]
            exchange.answer(200, invocations.answer(found), answers.JSON, headers)

        answering.ask(
            self._service, live, rows, answered, demand=demand.arm, seconds=demand.seconds
        )
