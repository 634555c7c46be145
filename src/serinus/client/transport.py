"""The two clients: the same calls, carried out at once or awaited."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import httpx
import msgspec

from serinus import clock
from serinus.client import bulk, calls
from serinus.client.calls import Call
from serinus.client.cells import Key, Rows
from serinus.client.methods import Awaiting, Blocking
from serinus.client.patience import RESTART_SECONDS, UNHEARD, Attempts, Outage, unanswered
from serinus.client.predictions import Prediction, Refused, Sent, Told, Untold
from serinus.client.types import DeploymentStatus, Page
from serinus.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    Misdirected,
    NotFound,
    SerinusError,
    Unavailable,
    UnsupportedForm,
)

P = ParamSpec("P")
T = TypeVar("T")

CONTROL_URL = "http://127.0.0.1:8090"
GATEWAY_URL = "http://127.0.0.1:8080"
DEADLINE_SECONDS = 30.0
_LOOK_SECONDS = 0.5


class _Addressed:
    """Knows where the two servers are."""

    def __init__(
        self, control_url: str, gateway_url: str, actor: str, timeout: float, patience: float
    ) -> None:
        self.control_url = control_url.rstrip("/")
        self.gateway_url = gateway_url.rstrip("/")
        self._actor = actor
        self._timeout = timeout
        self._patience = patience
        self._headers = {"x-serinus-actor": actor} if actor else {}

    def _attempts(self, call: Call[Any], patience: float) -> Attempts:
        return Attempts(call, call.seconds or self._timeout, patience)

    def _request(self, call: Call[Any], seconds: float) -> dict[str, Any]:
        """The keyword arguments of httpx's ``request`` for a call that may take so long."""
        root = self.control_url if call.plane == "control" else self.gateway_url
        headers = {**self._headers, **call.headers}
        content = None
        if call.body is not None:
            content = msgspec.json.encode(call.body)
            headers["content-type"] = "application/json"
        return {
            "timeout": seconds,
            "method": call.method,
            "url": root + call.path,
            "params": call.query,
            "content": content,
            "headers": headers,
        }

    def unreachable(
        self, error: httpx.TransportError, call: Call[Any] | None = None
    ) -> Unavailable:
        """What an error of the transport, perhaps of a call, means in words."""
        name, root = "control plane", self.control_url
        if call is not None and call.plane == "gateway":
            name, root = "gateway", self.gateway_url
        elif call is not None and not call.repeatable and not isinstance(error, UNHEARD):
            return _unsure(f"the {name} at {root} gave no answer ({type(error).__name__})", call)
        if isinstance(error, httpx.ConnectError):
            what = f"no {name} answers at {root}"
        elif isinstance(error, httpx.TimeoutException):
            what = f"the {name} at {root} did not answer in time ({type(error).__name__})"
        else:
            what = f"the {name} at {root} broke off the connection ({type(error).__name__})"
        return Unavailable(
            what,
            remedy="Start one with `serinus up`, or name the right address: --control-url and "
            "--gateway-url, SERINUS_CONTROL_PORT and SERINUS_GATEWAY_PORT, or the arguments of "
            "Serinus().",
        )


class Serinus(_Addressed, Blocking):
    """A running installation, for programs and notebooks.

    Args:
        control_url: where the control plane answers.
        gateway_url: where the gateway answers.
        timeout: seconds that one call may take.
        actor: who asks, kept in every history.
        patience: seconds for which a control plane that is away, as while it restarts, is tried
            again. A call that could be done twice is sent again only if nobody can have heard it.
    """

    def __init__(
        self,
        control_url: str = CONTROL_URL,
        gateway_url: str = GATEWAY_URL,
        *,
        timeout: float = DEADLINE_SECONDS,
        actor: str = "",
        patience: float = RESTART_SECONDS,
    ) -> None:
        super().__init__(control_url, gateway_url, actor, timeout, patience)
        self._http = httpx.Client(timeout=timeout, trust_env=False)

    def __enter__(self) -> Serinus:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def run(self, call: Call[T]) -> T:
        """Carry out a call.

        Raises:
            SerinusError: the very class that the server raised.
            Unavailable: nobody answers there.
        """
        return self._run(call, self._patience)

    def _run(self, call: Call[T], patience: float) -> T:
        attempts = self._attempts(call, patience)
        while True:
            try:
                answer = self._http.request(**self._request(call, attempts.seconds))
            except httpx.TransportError as error:
                pause = attempts.pause_after(error)
                if pause is None:
                    raise self.unreachable(error, call) from error
            else:
                pause = attempts.pause_after(answer)
                if pause is None:
                    return _decoded(answer, call)
            clock.sleep(pause)

    def look(self, call: Call[T], outage: Outage) -> T | None:
        """One of many looks at what changes; None as long as an outage may still last.

        Raises:
            Unavailable: nobody answers the first look, or the outage lasts too long.
            SerinusError: what was refused, such as NotFound.
        """
        try:
            found = self._run(call, outage.patience(self._patience))
        except Unavailable as error:
            outage.bear(error)
            return None
        outage.end()
        return found

    def stream(
        self, path: str, position: str, silence: float
    ) -> AbstractContextManager[httpx.Response]:
        """A stream of the control plane's events, still to be read.

        Args:
            path: of the stream.
            position: the id of the last event that came, "" for none.
            silence: seconds without a sign after which it is given up.
        """
        headers = {**self._headers, **({"last-event-id": position} if position else {})}
        address = self.control_url + path
        return self._http.stream("GET", address, headers=headers, timeout=silence)

    def pages(self, call: Call[Page[T]]) -> Iterator[T]:
        """Every item of a paged call."""
        following: Call[Page[T]] | None = call
        while following is not None:
            page = self.run(following)
            yield from page.items
            following = _next(call, page)

    def predict_batch(
        self,
        rows: Rows,
        *,
        model: str | None = None,
        entity: Sequence[Key | None] | None = None,
        entity_column: str | None = None,
    ) -> list[Prediction | Refused]:
        """Predictions for many rows, or those of a DataFrame, in their order.

        A row that cannot be answered says why.

        Args:
            rows: the inputs of each, by name.
            model: which; may be left out where there is one.
            entity: for each row the key that keeps somebody with one arm, None where there is none.
            entity_column: the column that holds that key, instead; it is then no input.

        Raises:
            InvalidInput: these are no rows, or a value cannot be sent; it says which.
        """
        call = calls.predict_batch(rows, model=model, entity=entity, entity_column=entity_column)
        return calls.answers(self.run(call))

    def feedback_many(
        self,
        items: Iterable[Told | Untold],
        *,
        first: int = 0,
        refused: Callable[[Untold], None] | None = None,
        progress: Callable[[Sent], None] | None = None,
        **pace: Any,
    ) -> Sent:
        """Tell what turned out of any number of predictions; see :class:`serinus.client.bulk.Bulk`.

        Args:
            items: what to tell, such as a :class:`serinus.client.labels.LabelFile`.
            first: place of the first item, if some before it were sent earlier.
            refused: called with each item that was refused.
            progress: called after each request.
            **pace: ``rows`` of a request, ``connections`` at a time, ``patience_seconds``.

        Raises:
            Unavailable: the gateway took nothing for as long as the patience lasts.
        """
        sending = bulk.Bulk(self._post_feedback, **pace)
        return sending.send(items, first=first, refused=refused, progress=progress)

    def _post_feedback(self, body: bytes) -> bulk.Reply:
        call = calls.feedback()
        try:
            answer = self._http.request(**{**self._request(call, self._timeout), "content": body})
        except httpx.TransportError as error:
            raise self.unreachable(error, call) from error
        return _reply(answer)

    def wait_for(
        self,
        id: str,
        *,
        until: Callable[[DeploymentStatus], bool] | None = None,
        timeout: float = 3600.0,
        progress: Callable[[DeploymentStatus], None] | None = None,
    ) -> DeploymentStatus:
        """Look at a deployment until it has ended (or ``until`` says so), and return it.

        Once the control plane has answered, it may be away for a minute, as when it restarts; until
        then the client's own patience holds.

        Args:
            id: the deployment.
            until: what to wait for instead of the end.
            timeout: seconds after which waiting is given up; the deployment goes on.
            progress: called with each look.

        Raises:
            Unavailable: the time is over, or the control plane stays away.
        """
        deadline = clock.monotonic() + timeout
        outage = Outage(deadline)
        while True:
            status = self.look(calls.deployment(id), outage)
            if status is not None and _reached(status, until, deadline, progress):
                return status
            clock.sleep(_LOOK_SECONDS)


class AsyncSerinus(_Addressed, Awaiting):
    """The same as :class:`Serinus`, awaited."""

    def __init__(
        self,
        control_url: str = CONTROL_URL,
        gateway_url: str = GATEWAY_URL,
        *,
        timeout: float = DEADLINE_SECONDS,
        actor: str = "",
        patience: float = RESTART_SECONDS,
    ) -> None:
        super().__init__(control_url, gateway_url, actor, timeout, patience)
        self._http = httpx.AsyncClient(timeout=timeout, trust_env=False)

    async def __aenter__(self) -> AsyncSerinus:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def run(self, call: Call[T]) -> T:
        """Carry out a call; see :meth:`Serinus.run`."""
        return await self._run(call, self._patience)

    async def _run(self, call: Call[T], patience: float) -> T:
        attempts = self._attempts(call, patience)
        while True:
            try:
                answer = await self._http.request(**self._request(call, attempts.seconds))
            except httpx.TransportError as error:
                pause = attempts.pause_after(error)
                if pause is None:
                    raise self.unreachable(error, call) from error
            else:
                pause = attempts.pause_after(answer)
                if pause is None:
                    return _decoded(answer, call)
            await asyncio.sleep(pause)

    async def look(self, call: Call[T], outage: Outage) -> T | None:
        """One of many looks, awaited; see :meth:`Serinus.look`."""
        try:
            found = await self._run(call, outage.patience(self._patience))
        except Unavailable as error:
            outage.bear(error)
            return None
        outage.end()
        return found

    async def pages(self, call: Call[Page[T]]) -> AsyncIterator[T]:
        """Every item of a paged call."""
        following: Call[Page[T]] | None = call
        while following is not None:
            page = await self.run(following)
            for item in page.items:
                yield item
            following = _next(call, page)

    async def predict_batch(
        self,
        rows: Rows,
        *,
        model: str | None = None,
        entity: Sequence[Key | None] | None = None,
        entity_column: str | None = None,
    ) -> list[Prediction | Refused]:
        """Predictions for many rows; see :meth:`Serinus.predict_batch`."""
        call = calls.predict_batch(rows, model=model, entity=entity, entity_column=entity_column)
        return calls.answers(await self.run(call))

    async def feedback_many(self, items: Iterable[Told | Untold], **options: Any) -> Sent:
        """Tell what turned out of many predictions, in threads; see :meth:`Serinus.feedback_many`.

        ``items`` is gone through, and ``refused`` and ``progress`` are called, in another thread.
        """

        def send() -> Sent:
            with Serinus(self.control_url, self.gateway_url, actor=self._actor) as client:
                return client.feedback_many(items, **options)

        return await asyncio.to_thread(send)

    async def wait_for(
        self,
        id: str,
        *,
        until: Callable[[DeploymentStatus], bool] | None = None,
        timeout: float = 3600.0,
        progress: Callable[[DeploymentStatus], None] | None = None,
    ) -> DeploymentStatus:
        """Look at a deployment until it has ended; see :meth:`Serinus.wait_for`."""
        deadline = clock.monotonic() + timeout
        outage = Outage(deadline)
        while True:
            status = await self.look(calls.deployment(id), outage)
            if status is not None and _reached(status, until, deadline, progress):
                return status
            await asyncio.sleep(_LOOK_SECONDS)


def _reached(
    status: DeploymentStatus,
    until: Callable[[DeploymentStatus], bool] | None,
    deadline: float,
    progress: Callable[[DeploymentStatus], None] | None,
) -> bool:
    if progress is not None:
        progress(status)
    if not status.deployment.live or (until is not None and until(status)):
        return True
    if clock.monotonic() >= deadline:
        raise Unavailable(
            f"the deployment is still {status.deployment.phase} at {status.deployment.position}",
            where=status.deployment.id,
            remedy="It goes on without anybody waiting; look again later.",
        )
    return False


def _next(call: Call[Page[T]], page: Page[T]) -> Call[Page[T]] | None:
    if page.next is None:
        return None
    return msgspec.structs.replace(call, query={**call.query, "after": page.next})


def _reply(answer: httpx.Response) -> bulk.Reply:
    after = answer.headers.get("retry-after", "")
    return bulk.Reply(
        answer.status_code,
        answer.content,
        float(after) if after.isascii() and after.isdigit() else None,
        None if answer.is_success else error_from(answer.status_code, answer.content),
    )


def _decoded(answer: httpx.Response, call: Call[T]) -> T:
    # A health check answers 503 with the very document that says what is wrong.
    degraded = answer.status_code == Unavailable.status and call.probes
    if answer.is_success or degraded:
        try:
            value: T = msgspec.json.decode(answer.content, type=call.gives)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise Unavailable(
                f"the answer to {call.method} {call.path} is none of ours ({error})",
                where=str(answer.url),
                remedy="Check the address, and that client and server have the same version.",
            ) from error
        return value
    if unanswered(answer) and call.plane == "control" and not call.repeatable:
        raise _unsure(f"a proxy answered {answer.status_code} for the control plane", call)
    raise error_from(answer.status_code, answer.content)


def _unsure(what: str, call: Call[Any]) -> Unavailable:
    return Unavailable(
        what,
        where=f"{call.method} {call.path}",
        remedy="It may have been carried out all the same: look before you ask again.",
    )


_CLASSES: dict[int, type[SerinusError]] = {
    kind.status: kind
    for kind in (
        InvalidInput,
        NotFound,
        Conflict,
        Unavailable,
        UnsupportedForm,
        Forbidden,
        Misdirected,
    )
}
# Proxies say so of a server that is away.
_CLASSES |= {502: Unavailable, 504: Unavailable}


def error_from(status: int, document: bytes) -> SerinusError:
    """The error that a problem document tells, as the class that was raised on the other side."""
    kind = _CLASSES.get(status)
    if kind is None:
        kind = InvalidInput if 400 <= status < 500 else SerinusError
    try:
        problem = msgspec.json.decode(document, type=dict[str, Any])
    except (msgspec.ValidationError, msgspec.DecodeError):
        problem = {}
    return kind(
        str(problem.get("detail") or problem.get("title") or f"the server answered {status}"),
        where=str(problem.get("where", "")),
        remedy=str(problem.get("remedy", "")),
        faults=[str(item) for item in problem.get("faults", ())],
    )
