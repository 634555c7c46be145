"""What is answered where: path -> handler -> service -> bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from typing import TypeAlias
from urllib.parse import unquote

from serinus.errors import InvalidInput, NotFound, SerinusError
from serinus.serving.answering import failed, predicted
from serinus.serving.asking.assigning import Demand
from serinus.serving.asking.live import LiveRoute
from serinus.serving.asking.rows import Row
from serinus.serving.http import demands, forms, refusal, state
from serinus.serving.http.exchange import ARM, REVISION, TIMEOUT, Exchange, Header, head
from serinus.serving.http.hooks import Hooks
from serinus.serving.http.invocations import Invocations
from serinus.serving.http.open_inference import OpenInference
from serinus.serving.http.refusal import Refusal
from serinus.serving.loading.snapshot import Asleep
from serinus.serving.protocols import answers, decode
from serinus.serving.protocols.answers import Predicted, Refused
from serinus.serving.protocols.decode import Request
from serinus.serving.service import Service
from serinus.serving.telling import feedback
from serinus.serving.types import GatewayOptions
from serinus.wire import Arm, Field

Handler: TypeAlias = Callable[[Exchange, "str | None"], "Coroutine[None, None, None] | None"]
"""Answers an exchange about a model (None: none was named), at once or later."""

NoteFault: TypeAlias = Callable[[str, Sequence[Field], SerinusError], None]
"""Takes note of a row that could not be read."""

REMEMBERED_REVISIONS = 64
REMEMBERED_PATHS = 1_000
REMEMBERED_PATH_BYTES = 256


class Application:
    """Answers requests.

    Args:
        service: of this worker.
        options: for the limits.
        loop: the event loop.
    """

    def __init__(
        self, service: Service, options: GatewayOptions, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._service = service
        self._loop = loop
        self._max_rows = options.request_max_rows
        self._max_bytes = options.request_max_bytes
        self._tasks: set[asyncio.Task[None]] = set()
        self._heads: dict[int, bytes] = {}
        self._found: dict[bytes, tuple[bytes, Handler, str | None]] = {}
        self._hooks = Hooks(options.hooks) if options.hooks else None
        self.is_draining = False
        self._open_inference = OpenInference(service, options, self.is_ready, self._refuse)
        scoring = Invocations(service, options, self.is_ready, self._refuse)
        self._routes: dict[bytes, tuple[bytes, Handler]] = {
            b"/predict": (b"POST", self._predict),
            b"/predict/batch": (b"POST", self._predict_batch),
            b"/feedback": (b"POST", self._feedback),
            b"/reload-model": (b"POST", self._reload),
            b"/health": (b"GET", self._health),
            b"/health/live": (b"GET", self._live),
            b"/health/ready": (b"GET", self._ready),
            b"/model-info": (b"GET", self._model_info),
            b"/staging/predict": (b"POST", self._staging_predict),
            b"/staging/predict/batch": (b"POST", self._staging_batch),
            b"/staging/model-info": (b"GET", self._staging_info),
            b"/stats": (b"GET", self._stats),
            b"/metrics": (b"GET", self._metrics),
            b"/openapi.json": (b"GET", self._openapi),
            b"/invocations": (b"POST", scoring.invoke),
            b"/ping": (b"GET", scoring.ping),
            b"/version": (b"GET", scoring.version),
        }
        self._of_model: dict[str, tuple[bytes, Handler]] = {
            "": (b"GET", self._model_info),
            "predict": (b"POST", self._predict),
            "predict/batch": (b"POST", self._predict_batch),
            "invocations": (b"POST", scoring.invoke),
        }
        self._of_staging: dict[str, tuple[bytes, Handler]] = {
            "": (b"GET", self._staging_info),
            "predict": (b"POST", self._staging_predict),
            "predict/batch": (b"POST", self._staging_batch),
        }

    def handle(self, exchange: Exchange) -> None:
        """Answer one request, now or later; never raises."""
        try:
            handler, model = self._resolve(exchange)
            later = handler(exchange, model)
        except Asleep as asleep:
            later = self._wake(exchange, asleep.model)
        except Exception as error:
            self._refuse(exchange, error)
            return
        if later is not None:
            task = self._loop.create_task(self._finish(exchange, later))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _finish(self, exchange: Exchange, later: Coroutine[None, None, None]) -> None:
        try:
            await later
        except Exception as error:
            self._refuse(exchange, error)

    async def _wake(self, exchange: Exchange, model: str) -> None:
        await self._service.wake(model, demands.of(exchange).seconds)
        self.handle(exchange)

    def _resolve(self, exchange: Exchange) -> tuple[Handler, str | None]:
        path, method = exchange.path, exchange.method
        found = self._found.get(path)
        if found is None:
            found = self._find(path)
            if len(path) <= REMEMBERED_PATH_BYTES:
                if len(self._found) >= REMEMBERED_PATHS:
                    self._found.clear()
                self._found[path] = found
        allowed, handler, model = found
        if method != allowed and allowed and not (method == b"HEAD" and allowed == b"GET"):
            raise Refusal(
                405,
                f"{path.decode('latin-1')} answers {allowed.decode()} only",
                headers=((b"allow", allowed),),
            )
        return handler, model

    def _find(self, path: bytes) -> tuple[bytes, Handler, str | None]:
        """What answers at a path: the method it takes (empty: any), who answers, for which model.

        Raises:
            NotFound: nothing does.
        """
        if path in self._routes:
            return *self._routes[path], None
        for place, handlers in (
            (b"/models/", self._of_model),
            (b"/staging/models/", self._of_staging),
        ):
            if path.startswith(place):
                name, _, rest = path[len(place) :].decode("latin-1").partition("/")
                if rest in handlers:
                    return *handlers[rest], unquote(name)
        if path == b"/v2" or path.startswith(b"/v2/"):
            return b"", self._open_inference.handle, None
        shown = path.decode("latin-1")[:200]
        raise NotFound(f"there is nothing at {shown}", remedy="POST /predict answers.")

    # -------------------------------------------------------------- predictions

    def _predict(self, exchange: Exchange, model: str | None) -> None:
        demand, seconds, body = self._read(exchange)
        live, request = self._decode(body, model)

        def done(error: SerinusError | None) -> None:
            self._answer_row(exchange, row, error or row.error)

        row = self._service.predict(live, request, demand, done, seconds=seconds)

    def _answer_row(self, exchange: Exchange, row: Row, error: SerinusError | None) -> None:
        if error is not None:
            self._refuse(exchange, error)
        elif row.failure and row.default is None:
            status, document = 503, failed(row)
            self._service.counters.refuse(status)
            headers = (*_retry(1), _revision(row.live))
            exchange.answer(status, answers.encode(document), answers.PROBLEM, headers)
        else:
            self._send_row(exchange, row)

    def _send_row(self, exchange: Exchange, row: Row) -> None:
        answer: object = predicted(row)
        if self._hooks is not None:
            try:
                answer = self._hooks.after(row.live.route.model, predicted(row))
            except SerinusError as error:
                self._refuse(exchange, error)
                return
        exchange.send(self._head(row.live.revision), answers.encode(answer))

    def _head(self, revision: int) -> bytes:
        """The first lines of each answer under a revision, made once."""
        made = self._heads.get(revision)
        if made is None:
            if len(self._heads) >= REMEMBERED_REVISIONS:
                self._heads.clear()
            made = self._heads[revision] = b"%b%b: %d\r\n" % (head(200), REVISION, revision)
        return made

    def _read(self, exchange: Exchange) -> tuple[Demand | None, float | None, bytes]:
        """Who is demanded, how long the client waits, and the body of a JSON request."""
        # As demands.of, but in one pass with the rest: this is the way of every prediction.
        demand: Demand | None = None
        seconds: float | None = None
        compressed = False
        for name, value in exchange.headers:
            if name == b"content-type":
                if value != b"application/json" and not _is_json(value):
                    raise Refusal(
                        415,
                        f"the content type {value.decode('latin-1')[:100]!r} cannot be read",
                        remedy="Send content-type: application/json in UTF-8.",
                    )
            elif name == ARM:
                demand = demands.arm(value)
            elif name == TIMEOUT:
                seconds = demands.seconds(value)
            elif name == b"content-encoding":
                compressed = True
        body = exchange.content(self._max_bytes) if compressed else exchange.body
        return demand, seconds, body

    def _decode(self, body: bytes, model: str | None) -> tuple[LiveRoute, Request]:
        """The row of a body, decoded by the model that the path or the body names."""
        service = self._service
        if model is None and service.snapshot.serves_several:
            model = decode.named_model(body)
        live = service.snapshot.find(model)
        if self._hooks is not None:
            body = self._hooks.before(live.route.model, body)
        try:
            request = live.decoder.single(body)
        except InvalidInput as error:
            # If the body is for another model, that is what is wrong with it.
            self._same_model(live, decode.named_model(body))
            service.counters.violations.note(live.route.model, live.decoder.inputs, error)
            raise
        if request.model is not None:
            self._same_model(live, request.model)
        return live, request

    def _same_model(self, live: LiveRoute, named: str | None) -> None:
        if named is not None and named != live.route.model:
            with suppress(Asleep):
                self._service.snapshot.find(named)
            raise InvalidInput(
                f"the path is for {live.route.model!r}, the body for {named!r}", where="model"
            )

    def _predict_batch(self, exchange: Exchange, model: str | None) -> None:
        demand, seconds, body = self._read(exchange)
        live = self._service.snapshot.find(model)
        violations = self._service.counters.violations
        self._ask_batch(exchange, live, body, demand, seconds, violations.note)

    def _ask_batch(
        self,
        exchange: Exchange,
        live: LiveRoute,
        body: bytes,
        demand: Demand | None,
        seconds: float | None,
        note: NoteFault,
    ) -> None:
        if self._hooks is not None:
            body = self._hooks.before(live.route.model, body, "requests")
        decoded = live.decoder.batch(body, self._max_rows)
        good: list[tuple[LiveRoute, Request]] = []
        faults: dict[int, SerinusError] = {}
        for index, request in enumerate(decoded):
            if isinstance(request, SerinusError):
                faults[index] = request
                note(live.route.model, live.decoder.inputs, request)
                continue
            try:
                self._same_model(live, request.model)
                good.append((live, request))
            except SerinusError as error:
                faults[index] = error

        def done(error: SerinusError | None) -> None:
            # What is wrong with one row is said of it; what the ledger refused, of them all.
            for row in rows:
                if row.error is not None and not isinstance(row.error, InvalidInput):
                    error = error or row.error
            if error is not None:
                self._refuse(exchange, error)
                return
            out = self._after(_merged(iter(rows), faults, len(decoded)), live)
            exchange.answer(200, answers.encode({"predictions": out}), headers=[_revision(live)])

        rows: list[Row] = []
        if good:
            rows = self._service.predict_many(good, demand, done, seconds=seconds)
        else:
            done(None)

    def _after(self, merged: list[Predicted | Refused], live: LiveRoute) -> Sequence[object]:
        """The answers to a batch as the hook leaves them, each for itself."""
        if self._hooks is None:
            return merged
        out: list[object] = []
        for answer in merged:
            try:
                refused = isinstance(answer, Refused)
                out.append(answer if refused else self._hooks.after(live.route.model, answer))
            except SerinusError as error:
                out.append(Refused(error.problem()))
        return out

    # -------------------------------------------------------------- staging

    async def _staging_predict(self, exchange: Exchange, model: str | None) -> None:
        demand, seconds, body = self._read(exchange)
        live = await self._staged(body, model, demand, seconds)
        if self._hooks is not None:
            body = self._hooks.before(live.route.model, body)
        request = live.decoder.single(body)
        if request.model not in (None, live.route.model):
            raise InvalidInput(
                f"the path is for {live.route.model!r}, the body for {request.model!r}",
                where="model",
            )

        def done(error: SerinusError | None) -> None:
            self._answer_row(exchange, row, error or row.error)

        row = self._service.predict(live, request, Arm.STAGING, done, seconds=seconds)

    async def _staging_batch(self, exchange: Exchange, model: str | None) -> None:
        demand, seconds, body = self._read(exchange)
        live = await self._staged(b"", model, demand, seconds)
        self._ask_batch(exchange, live, body, Arm.STAGING, seconds, _unnoted)

    async def _staged(
        self, body: bytes, model: str | None, demand: Demand | None, seconds: float | None
    ) -> LiveRoute:
        """The version in Staging of the model that a path or a body names."""
        if demand is not None:
            raise InvalidInput(
                "there is one version in Staging, and nobody else answers here",
                where=ARM.decode(),
                remedy="Leave the header out.",
            )
        if model is None:
            model = decode.named_model(body)
        return await self._service.find_staging(model, seconds)

    async def _staging_info(self, exchange: Exchange, model: str | None) -> None:
        told = self._service.told_of_staging()
        if model is None and len(told) > 1:
            exchange.answer(200, answers.encode({"models": told}))
        else:
            live = await self._service.find_staging(model)
            exchange.answer(200, answers.encode(state.model(live)))

    # -------------------------------------------------------------- the rest

    async def _feedback(self, exchange: Exchange, _model: str | None) -> None:
        _, _, body = self._read(exchange)
        items = decode.feedback(body, self._max_rows)
        status, document = feedback.summary(await self._service.feedback(items))
        kind = answers.JSON
        if status >= 400:
            kind = answers.PROBLEM
            self._service.counters.refuse(status)
        exchange.answer(status, answers.encode(document), kind)

    async def _reload(self, exchange: Exchange, _model: str | None) -> None:
        snapshot = await self._service.reload()
        if self._service.table_error is not None:
            raise self._service.table_error
        exchange.answer(200, answers.encode(state.reloaded(snapshot)))

    def is_ready(self) -> bool:
        """Whether predictions are being answered, and go on to be."""
        return self._service.is_ready and not self.is_draining

    def _live(self, exchange: Exchange, _model: str | None) -> None:
        exchange.answer(200, b'{"status":"live"}')

    def _ready(self, exchange: Exchange, _model: str | None) -> None:
        ready = self.is_ready()
        word = {"status": "ready" if ready else "not ready"}
        body = answers.encode({**word, **state.health(self._service, draining=self.is_draining)})
        exchange.answer(200 if ready else 503, body)

    def _health(self, exchange: Exchange, _model: str | None) -> None:
        word = {"live": True, "ready": self.is_ready()}
        body = answers.encode({**word, **state.health(self._service, draining=self.is_draining)})
        exchange.answer(200, body)

    def _model_info(self, exchange: Exchange, model: str | None) -> None:
        if model is None and self._service.snapshot.serves_several:
            routes = self._service.snapshot.routes
            body = answers.encode({"models": [state.model(live) for live in routes.values()]})
        else:
            body = answers.encode(state.model(self._service.snapshot.find(model)))
        exchange.answer(200, body)

    def _stats(self, exchange: Exchange, _model: str | None) -> None:
        exchange.answer(200, answers.encode(state.stats(self._service)))

    def _metrics(self, exchange: Exchange, _model: str | None) -> None:
        exchange.answer(200, state.metrics(self._service), state.METRICS)

    def _openapi(self, exchange: Exchange, _model: str | None) -> None:
        exchange.answer(200, state.openapi_document(self._service, self._max_rows))

    # -------------------------------------------------------------- refusing

    def _refuse(self, exchange: Exchange, error: Exception) -> None:
        status, body, kind, headers = self.refuse_early(exchange.path, error)
        exchange.answer(status, body, kind, headers)

    def refuse_early(self, path: bytes, error: Exception) -> refusal.Refused:
        """The answer to a request that cannot be taken, perhaps before it was there as a whole."""
        refused = forms.refused(path, error)
        self._service.counters.refuse(refused.status)
        return refused


def _unnoted(_model: str, _inputs: Sequence[Field], _error: SerinusError) -> None:
    """What is made of a fault in what is no production's request."""


def _is_json(kind: bytes) -> bool:
    media, _, parameters = kind.lower().partition(b";")
    media = media.strip()
    charset = parameters.replace(b" ", b"").replace(b'"', b"")
    utf8 = b"charset=" not in charset or b"charset=utf-8" in charset
    return utf8 and (media == b"application/json" or media.endswith(b"+json"))


def _revision(live: LiveRoute) -> Header:
    return REVISION, b"%d" % live.revision


def _retry(seconds: int) -> tuple[Header, ...]:
    return ((b"retry-after", b"%d" % seconds),)


def _merged(
    rows: Iterator[Row], faults: dict[int, SerinusError], count: int
) -> list[Predicted | Refused]:
    """The answers to a batch, each at its row's place."""
    out: list[Predicted | Refused] = []
    for index in range(count):
        fault = faults.get(index)
        if fault is None:
            row = next(rows)
            fault = row.error
            if fault is None:
                has_failed = row.failure and row.default is None
                out.append(Refused(failed(row)) if has_failed else predicted(row))
                continue
        out.append(Refused(fault.problem()))
    return out
