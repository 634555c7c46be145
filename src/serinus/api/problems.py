"""Every error leaves as ``application/problem+json``; the status is the error's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from serinus.api import signposts
from serinus.delivery.planning import written
from serinus.errors import InvalidInput, SerinusError

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"


def install(application: FastAPI, calls: Sequence[APIRoute] = ()) -> None:
    """Make every way a request can fail answer with a problem document.

    Args:
        application: whose.
        calls: that it has, to lead on who asks one by another method.
    """
    application.state.calls = calls
    application.add_exception_handler(SerinusError, _ours)
    application.add_exception_handler(RequestValidationError, _parameters)
    application.add_exception_handler(HTTPException, _routing)
    application.add_exception_handler(Exception, _unexpected)


def response(problem: dict[str, object], headers: dict[str, str] | None = None) -> Response:
    """A problem document as an HTTP answer with its own status."""
    return Response(
        msgspec.json.encode(problem),
        status_code=int(str(problem["status"])),
        headers=headers,
        media_type=MEDIA_TYPE,
    )


def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, SerinusError)
    problem = error.problem()
    sent = getattr(request.state, "yaml", b"")
    if sent and error.faults:
        lines = written.lines_of(sent)
        problem["faults"] = [_with_line(fault, lines) for fault in error.faults]
    headers = {"retry-after": "1"} if error.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return response(problem, headers)


def _with_line(fault: str, lines: Mapping[str, int]) -> str:
    """A fault with the line of the field that it names, if that is there at all."""
    line = lines.get(fault.partition(":")[0])
    return fault if line is None else f"{fault} (line {line})"


def _parameters(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [_fault(item) for item in error.errors()]
    refusal = InvalidInput(
        "the request's parameters cannot be used",
        faults=faults,
        remedy="Correct these; /docs describes every call.",
    )
    return response(refusal.problem())


def _fault(item: dict[str, Any]) -> str:
    kind, *names = item["loc"]
    return f"{kind} {'.'.join(str(name) for name in names)}: {item['msg']}"


def _routing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    problem: dict[str, object] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": f"{request.method} {request.url.path}: {error.detail}",
        "remedy": "The dashboard is at /, and every call at /docs.",
    }
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        calls, path = request.app.state.calls, request.url.path
        if allowed := signposts.methods_of(calls, path):
            headers["Allow"] = ", ".join(allowed)
            problem["remedy"] = signposts.remedy(calls, request.method, path)
    return response(problem, headers)


def _unexpected(request: Request, error: Exception) -> Response:
    log.error("request failed", method=request.method, path=request.url.path, exc_info=error)
    return response(SerinusError("the request could not be carried out; see the log").problem())
