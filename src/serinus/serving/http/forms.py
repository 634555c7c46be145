"""What went wrong, in the form of the protocol that the client speaks: clients show no other."""

from __future__ import annotations

import logging

from serinus.errors import Overloaded, SerinusError
from serinus.serving.http.refusal import Refusal, Refused
from serinus.serving.protocols import answers, invocations, open_inference

OPEN_INFERENCE = b"/v2"
INVOCATIONS = b"/invocations"

_MLFLOW_CODES = {
    400: "BAD_REQUEST",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_CONFLICT",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}
_log = logging.getLogger("serinus.serving")


def refused(path: bytes, error: Exception) -> Refused:
    """How who asked at a path is told of an error; what nobody foresaw is told to the log alone."""
    if not isinstance(error, Refusal | SerinusError):
        _log.error("a request of %r failed", path, exc_info=error)
        error = Refusal(500, "the gateway failed; see its log")
    status, headers = error.status, error.headers if isinstance(error, Refusal) else ()
    if isinstance(error, Overloaded):
        headers = ((b"retry-after", b"%d" % error.retry_after),)
    elif status == 503:
        headers = ((b"retry-after", b"1"),)
    if path == OPEN_INFERENCE or path.startswith(b"/v2/"):
        text = open_inference.error(_line(error))
        return Refused(_plain(status), text, answers.JSON, headers)
    if path.endswith(INVOCATIONS):
        status = _plain(status)
        text = invocations.error(_MLFLOW_CODES.get(status, "BAD_REQUEST"), _line(error))
        return Refused(status, text, answers.JSON, headers)
    body = error.body if isinstance(error, Refusal) else answers.encode(error.problem())
    return Refused(status, body, answers.PROBLEM, headers)


def _plain(status: int) -> int:
    """Their servers have one status for every request that is wrong."""
    return 400 if status == 422 else status


def _line(error: Refusal | SerinusError) -> str:
    """All that an error says, in one line."""
    parts = str(error).split("\n")
    if isinstance(error, Refusal) and error.remedy:
        parts.append(error.remedy)
    return ". ".join(part.strip().rstrip(".") for part in parts) + "."
