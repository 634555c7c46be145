"""The Open Inference Protocol over gRPC, beside HTTP in the worker's own loop.

Only imported where it is asked for. All workers listen on the port, and the kernel deals out the
connections.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from importlib import metadata
from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as messages

from serinus.errors import SerinusError, Unavailable
from serinus.serving import answering
from serinus.serving.asking.assigning import Demand
from serinus.serving.asking.live import LiveRoute
from serinus.serving.http.demands import arm as arm_of
from serinus.serving.http.exchange import ARM
from serinus.serving.http.open_inference import demanded, describe
from serinus.serving.loading.snapshot import Asleep
from serinus.serving.protocols import grpc as codec
from serinus.serving.protocols import tensors
from serinus.serving.protocols.answers import Predicted
from serinus.serving.service import Service
from serinus.serving.types import GatewayOptions

SERVICE = "inference.GRPCInferenceService"

_CODES = {
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
_log = logging.getLogger("serinus.serving")

Answer = Callable[[Any, Any], Awaitable[Any]]


async def start(service: Service, options: GatewayOptions, is_ready: Callable[[], bool]) -> Any:
    """Listen on ``options.grpc_port``; the server, whose ``stop(seconds)`` ends it.

    Raises:
        Unavailable: somebody else listens there.
    """
    server = grpc.aio.server(
        options=(
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", options.request_max_bytes),
        )
    )
    calls = _Calls(service, options.request_max_rows, is_ready)
    server.add_generic_rpc_handlers((calls.handlers(),))
    host = f"[{options.host}]" if ":" in options.host else options.host
    try:
        server.add_insecure_port(f"{host}:{options.grpc_port}")
    except RuntimeError as error:
        raise Unavailable(
            f"the gateway cannot listen on {host}:{options.grpc_port}",
            where="grpc_port",
            remedy="End the other program, or choose another port.",
        ) from error
    await server.start()
    return server


class _Calls:
    """The calls of the protocol.

    Args:
        service: of this worker.
        max_rows: of one request.
        is_ready: whether predictions are being answered, and go on to be.
    """

    def __init__(self, service: Service, max_rows: int, is_ready: Callable[[], bool]) -> None:
        self._service = service
        self._max_rows = max_rows
        self._is_ready = is_ready

    def handlers(self) -> Any:
        """What a server needs to answer them."""
        answers: dict[str, Answer] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ServerMetadata": self._server_metadata,
            "ModelReady": self._model_ready,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._infer,
        }
        made = {
            name: grpc.unary_unary_rpc_method_handler(
                self._told(answer),
                request_deserializer=getattr(messages, f"{name}Request").FromString,
                response_serializer=getattr(messages, f"{name}Response").SerializeToString,
            )
            for name, answer in answers.items()
        }
        return grpc.method_handlers_generic_handler(SERVICE, made)

    def _told(self, answer: Answer) -> Answer:
        """The call with its errors in gRPC's terms."""

        async def call(request: Any, context: Any) -> Any:
            try:
                return await answer(request, context)
            except SerinusError as error:
                code = _CODES.get(error.status, grpc.StatusCode.INTERNAL)
                self._service.counters.refuse(error.status)
                lines = [line.rstrip(".") for line in str(error).split("\n")]
                await context.abort(code, ". ".join(lines))
            except Exception as error:
                if isinstance(error, grpc.aio.AbortError):
                    raise
                # A fault of our own: told to nobody but the log.
                _log.exception("a call failed")
                self._service.counters.refuse(500)
                await context.abort(grpc.StatusCode.INTERNAL, "the gateway failed; see its log")

        return call

    async def _server_live(self, _request: Any, _context: Any) -> Any:
        return messages.ServerLiveResponse(live=True)

    async def _server_ready(self, _request: Any, _context: Any) -> Any:
        return messages.ServerReadyResponse(ready=self._is_ready())

    async def _server_metadata(self, _request: Any, _context: Any) -> Any:
        return messages.ServerMetadataResponse(name="serinus", version=metadata.version("serinus"))

    async def _model_ready(self, request: Any, _context: Any) -> Any:
        try:
            await self._find(request)
        except SerinusError:
            return messages.ModelReadyResponse(ready=False)
        return messages.ModelReadyResponse(ready=self._is_ready())

    async def _model_metadata(self, request: Any, _context: Any) -> Any:
        live, _ = await self._find(request)
        return codec.metadata(describe(live, request.version or None))

    async def _infer(self, request: Any, context: Any) -> Any:
        live, named = await self._find(
            request, "model_name", "model_version", seconds=context.time_remaining()
        )
        manifest = live.champion.runtime.manifest
        with self._service.counters.violations.of(live.route.model, live.decoder.inputs):
            asked = codec.read(request)
            tensors.check_outputs(asked.outputs, manifest)
            rows = tensors.features(asked.tensors, live.decoder.inputs, self._max_rows)
        header = dict(context.invocation_metadata() or ()).get(ARM.decode())
        future: asyncio.Future[list[Predicted]] = asyncio.get_running_loop().create_future()

        def answered(found: list[Predicted] | Exception) -> None:
            # A client that went away has cancelled its call; its rows are recorded all the same.
            if future.done():
                return
            if isinstance(found, Exception):
                future.set_exception(found)
            else:
                future.set_result(found)

        answering.ask(
            self._service,
            live,
            rows,
            answered,
            demand=named or (None if header is None else arm_of(header.encode())),
            entity=asked.entity,
            seconds=context.time_remaining(),
        )
        return codec.answer(await future, manifest, asked)

    async def _find(
        self,
        request: Any,
        name: str = "name",
        version: str = "version",
        *,
        seconds: float | None = None,
    ) -> tuple[LiveRoute, Demand | None]:
        """The model that a request names, woken if need be, and who answers as the version."""
        while True:
            try:
                live = self._service.snapshot.find(getattr(request, name) or None)
            except Asleep as asleep:
                await self._service.wake(asleep.model, seconds)
            else:
                wanted = getattr(request, version)
                return live, demanded(live, wanted) if wanted else None
