"""A body of a good request, and what the body of a refusal says."""

from __future__ import annotations

from typing import Any

import httpx

FEATURES = {"age": 61.0, "mood": 0.0, "home town": "Ulm"}


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of an answer with this status."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    return document
