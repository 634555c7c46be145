"""The gateway as a bare ASGI application: path -> body -> service -> bytes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import unquote

from serinus.errors import InvalidInput, NotFound, SerinusError
from serinus.serving import exposition, feedback
from serinus.serving.http.messages import REVISION as REVISION_HEADER
from serinus.serving.http.messages import Body, Left, Receive, Refusal, Scope, Send, respond
from serinus.serving.protocols import answers, decode
from serinus.serving.protocols.answers import Predicted, Refused
from serinus.serving.protocols.decode import Request
from serinus.serving.rows import LiveRoute, Row
from serinus.serving.service import Service
from serinus.serving.types import GatewayOptions
from serinus.wire import Arm

Handler: TypeAlias = Callable[[Scope, Receive, Send, str | None], Awaitable[None]]

_RETRY = ((b"retry-after", b"1"),)
_log = logging.getLogger("serinus.serving")


class Application:
    """Answers HTTP requests.

    Args:
        service: of this worker.
        options: for the limits.
    """

    def __init__(self, service: Service, options: GatewayOptions) -> None:
        self._service = service
        self._max_rows = options.request_max_rows
        self._body = Body(options.request_max_bytes, options.request_timeout_seconds)
        self.is_draining = False
        self._routes: dict[str, tuple[str, Handler]] = {
            "/predict": ("POST", self._predict),
            "/predict/batch": ("POST", self._predict_batch),
            "/feedback": ("POST", self._feedback),
            "/reload-model": ("POST", self._reload),
            "/health": ("GET", self._health),
            "/health/live": ("GET", self._live),
            "/health/ready": ("GET", self._ready),
            "/model-info": ("GET", self._model_info),
            "/stats": ("GET", self._stats),
            "/metrics": ("GET", self._metrics),
        }
        self._of_model: dict[str, tuple[str, Handler]] = {
            "": ("GET", self._model_info),
            "predict": ("POST", self._predict),
            "predict/batch": ("POST", self._predict_batch),
        }

    def expire(self) -> None:
        """End what has taken too long; to be called about twice a second."""
        self._body.expire()
        self._service.expire()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            handler, model = self._resolve(scope["path"], scope["method"])
            await handler(scope, receive, send, model)
        except Left:
            return
        except Refusal as refusal:
            await self._refuse(send, refusal.status, refusal.body, refusal.headers)
        except SerinusError as error:
            await self._problem(send, error)
        except Exception:
            # A fault of our own: told to nobody but the log.
            _log.exception("%s %s failed", scope["method"], scope["path"])
            body = answers.encode(answers.problem(500, "the gateway failed; see its log"))
            await self._refuse(send, 500, body, ())

    def _resolve(self, path: str, method: str) -> tuple[Handler, str | None]:
        model = None
        found = self._routes.get(path)
        if found is None and path.startswith("/models/"):
            name, _, rest = path[len("/models/") :].partition("/")
            model = unquote(name)
            found = self._of_model.get(rest)
        if found is None:
            raise NotFound(f"there is nothing at {path[:200]}", remedy="POST /predict answers.")
        allowed, handler = found
        if method != allowed and not (method == "HEAD" and allowed == "GET"):
            raise Refusal(
                405, f"{path} answers {allowed} only", headers=((b"allow", allowed.encode()),)
            )
        return handler, model

    # -------------------------------------------------------------- predictions

    async def _predict(self, scope: Scope, receive: Receive, send: Send, model: str | None) -> None:
        body, forced = await self._body.read(scope, receive)
        arm = _arm(forced)
        live, request = self._decode(body, model)
        row = await self._service.predict(live, request, arm)
        if row.error is not None:
            raise row.error
        revision = b"%d" % live.revision
        if row.failure:
            document = _failed(row)
            await self._refuse(
                send, 503, answers.encode(document), (*_RETRY, (REVISION_HEADER, revision))
            )
            return
        await self._answer(
            send, answers.encode(_predicted(row)), headers=((REVISION_HEADER, revision),)
        )

    def _decode(self, body: bytes, model: str | None) -> tuple[LiveRoute, Request]:
        """The row of a body, decoded by the model that the path or the body names."""
        routes = self._service.snapshot.routes
        if model is None and len(routes) > 1:
            model = decode.named_model(body)
        live = self._service.find(model)
        try:
            request = live.decoder.single(body)
        except InvalidInput:
            # If the body is for another model, that is what is wrong with it.
            self._same_model(live, decode.named_model(body))
            raise
        self._same_model(live, request.model)
        return live, request

    def _same_model(self, live: LiveRoute, named: str | None) -> None:
        if named is not None and named != live.route.model:
            self._service.find(named)
            raise InvalidInput(
                f"the path is for {live.route.model!r}, the body for {named!r}", where="model"
            )

    async def _predict_batch(
        self, scope: Scope, receive: Receive, send: Send, model: str | None
    ) -> None:
        body, forced = await self._body.read(scope, receive)
        arm = _arm(forced)
        live = self._service.find(model)
        decoded = live.decoder.batch(body, self._max_rows)
        good: list[tuple[LiveRoute, Request]] = []
        faults: dict[int, SerinusError] = {}
        for index, request in enumerate(decoded):
            if isinstance(request, SerinusError):
                faults[index] = request
                continue
            try:
                self._same_model(live, request.model)
                good.append((live, request))
            except SerinusError as error:
                faults[index] = error
        rows = iter(await self._service.predict_many(good, len(good), arm) if good else ())
        out: list[Predicted | Refused] = []
        for index in range(len(decoded)):
            fault = faults.get(index)
            if fault is None:
                row = next(rows)
                # What is wrong with one row is said of it; what the ledger refused, of them all.
                if row.error is not None and not isinstance(row.error, InvalidInput):
                    raise row.error
                fault = row.error
                if fault is None:
                    out.append(Refused(_failed(row)) if row.failure else _predicted(row))
            if fault is not None:
                out.append(Refused(fault.problem()))
        revision = b"%d" % live.revision
        await self._answer(
            send, answers.encode({"predictions": out}), headers=((REVISION_HEADER, revision),)
        )

    # -------------------------------------------------------------- feedback

    async def _feedback(
        self, scope: Scope, receive: Receive, send: Send, _model: str | None
    ) -> None:
        body, _ = await self._body.read(scope, receive)
        items = decode.feedback(body, self._max_rows)
        status, document = feedback.summary(await self._service.feedback(items))
        if status == 202:
            await self._answer(send, answers.encode(document), status=status)
        else:
            await self._refuse(send, status, answers.encode(document), ())

    # -------------------------------------------------------------- state

    async def _reload(self, scope: Scope, receive: Receive, send: Send, _model: str | None) -> None:
        snapshot = await self._service.reload()
        if self._service.table_error is not None:
            raise self._service.table_error
        answer = {
            "revision": snapshot.revision,
            "ready": snapshot.ready,
            "failed": snapshot.failed,
        }
        await self._answer(send, answers.encode(answer))

    async def _live(self, scope: Scope, receive: Receive, send: Send, _model: str | None) -> None:
        await self._answer(send, b'{"status":"live"}')

    async def _ready(self, scope: Scope, receive: Receive, send: Send, _model: str | None) -> None:
        ready = self._service.is_ready and not self.is_draining
        body = answers.encode({"status": "ready" if ready else "not ready", **self._state()})
        await self._answer(send, body, status=200 if ready else 503)

    async def _health(self, scope: Scope, receive: Receive, send: Send, _model: str | None) -> None:
        ready = self._service.is_ready and not self.is_draining
        body = answers.encode({"live": True, "ready": ready, **self._state()})
        await self._answer(send, body)

    def _state(self) -> dict[str, object]:
        service = self._service
        ledger, table = service.recorder.error, service.table_error
        return {
            "worker": service.worker,
            "revision": service.snapshot.revision,
            "serving": service.snapshot.ready,
            "failed": service.snapshot.failed,
            "loading": service.snapshot.loading,
            "ledger": "ok" if ledger is None else ledger.what,
            "routing_table": "ok" if table is None else table.what,
            "draining": self.is_draining,
        }

    async def _model_info(
        self, scope: Scope, receive: Receive, send: Send, model: str | None
    ) -> None:
        routes = self._service.snapshot.routes
        if model is None and len(routes) > 1:
            body = answers.encode({"models": [_describe(live) for live in routes.values()]})
        else:
            body = answers.encode(_describe(self._service.find(model)))
        await self._answer(send, body)

    async def _stats(self, scope: Scope, receive: Receive, send: Send, _model: str | None) -> None:
        service = self._service
        answer = {
            "revision": service.snapshot.revision,
            "waiting": service.waiting,
            "shadows_waiting": service.shadows_waiting,
            **exposition.stats(service.counts()),
        }
        await self._answer(send, answers.encode(answer))

    async def _metrics(
        self, scope: Scope, receive: Receive, send: Send, _model: str | None
    ) -> None:
        service = self._service
        body = exposition.metrics(
            service.counts(),
            revision=service.snapshot.revision,
            ready=int(service.is_ready),
            waiting=service.waiting,
        )
        await self._answer(send, body, kind=exposition.CONTENT_TYPE)

    # -------------------------------------------------------------- sending

    async def _answer(
        self,
        send: Send,
        body: bytes,
        *,
        status: int = 200,
        kind: bytes = answers.JSON,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        if self.is_draining:
            headers = (*headers, (b"connection", b"close"))
        await respond(send, status, body, kind, headers)

    async def _problem(self, send: Send, error: SerinusError) -> None:
        headers = _RETRY if error.status == 503 else ()
        await self._refuse(send, error.status, answers.encode(error.problem()), headers)

    async def _refuse(
        self, send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...]
    ) -> None:
        self._service.counters.refuse(status)
        await self._answer(send, body, status=status, kind=answers.PROBLEM, headers=headers)


def _arm(header: bytes | None) -> Arm | None:
    if header is None:
        return None
    if header == b"champion":
        return Arm.CHAMPION
    if header == b"challenger":
        return Arm.CHALLENGER
    raise InvalidInput(
        f"there is no arm {header.decode('latin-1')[:50]!r}",
        where="x-serinus-arm",
        remedy="Send champion or challenger, or leave the header out.",
    )


def _predicted(row: Row) -> Predicted:
    output, lane = row.output, row.answered_by
    if output is None or lane is None:
        raise RuntimeError("a row without an answer was taken for one with an answer")
    scores = output.scores
    return Predicted(
        prediction=output.value,
        prediction_id=row.id.hex(),
        model=row.live.route.model,
        version=lane.version,
        arm=row.assignment.arm,
        revision=row.live.revision,
        probabilities=dict(zip(lane.class_names, scores, strict=True)) if scores else None,
        fallback=bool(row.fallback),
    )


def _failed(row: Row) -> dict[str, object]:
    document = answers.problem(503, f"the model failed ({row.failure})")
    document["title"] = "Model failed"
    document["model"] = row.live.route.model
    document["version"] = row.answered_by.version if row.answered_by else ""
    document["revision"] = row.live.revision
    return document


def _describe(live: LiveRoute) -> dict[str, object]:
    manifest = live.champion.runtime.manifest
    challenger = live.challenger
    return {
        "model": live.route.model,
        "version": live.champion.version,
        "revision": live.revision,
        "task": manifest.task,
        "target": manifest.target,
        "classes": manifest.classes,
        "inputs": manifest.inputs,
        "example": manifest.example,
        "challenger": None if challenger is None else challenger.version,
        "share": live.route.share if challenger is not None else 0.0,
        "mirror": live.route.mirror if challenger is not None else 0.0,
        "deployment": live.route.deployment,
        "step": live.route.step,
    }
