"""What a person may have done to a deployment.

Each may be asked twice, but for an approval that says no step: by the time that it is asked again
the next gate may have passed, which nobody has looked at.
"""

from __future__ import annotations

from serinus.client.calls import Call, path_of
from serinus.client.types import Deployment


def pause(id: str, *, reason: str = "") -> Call[Deployment]:
    """Hold a deployment where it is; evidence goes on and a rollback stays possible."""
    return _intervene(id, "pause", reason)


def resume(id: str, *, reason: str = "") -> Call[Deployment]:
    """Go on with a deployment that a person held; this approves nothing."""
    return _intervene(id, "resume", reason)


def approve(id: str, *, reason: str = "", step: int | None = None) -> Call[Deployment]:
    """Let through a gate that has passed: that of ``step``, or whichever waits."""
    path = path_of("deployments", id, "approve")
    body = {"reason": reason, "step": step}
    return Call("POST", path, Deployment, body=body, idempotent=step is not None)


def promote(id: str, *, reason: str = "") -> Call[Deployment]:
    """Give the challenger all traffic now, whatever the evidence says."""
    return _intervene(id, "promote", reason)


def abort(id: str, *, reason: str = "") -> Call[Deployment]:
    """Give all traffic back to the champion and end the deployment."""
    return _intervene(id, "abort", reason)


def retry(id: str, *, reason: str = "") -> Call[Deployment]:
    """Take up again what ended without success: same plan, step and evidence."""
    return _intervene(id, "retry", reason)


def _intervene(id: str, verb: str, reason: str) -> Call[Deployment]:
    path = path_of("deployments", id, verb)
    return Call("POST", path, Deployment, body={"reason": reason}, idempotent=True)
