"""Where to look instead, for whoever asks a path by a method that it does not take."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi.routing import APIRoute

_MOST = 3


def methods_of(calls: Sequence[APIRoute], path: str) -> list[str]:
    """The methods that a path takes; none if there is no such path."""
    own = _own(path)
    return sorted(
        {verb for call in calls if call.path_regex.match(own) for verb in call.methods or ()}
    )


def remedy(calls: Sequence[APIRoute], method: str, path: str) -> str:
    """What a path takes, and where the method is answered: below it, else nearest above it.

    Args:
        calls: every call of the API.
        method: that was asked for and is not taken.
        path: that was asked for.
    """
    parts = [f"This path takes {' and '.join(methods_of(calls, path))}."]
    near = _below(calls, method, _own(path)) or _above(calls, method, _own(path))
    if near:
        parts.append(f"{method} is answered at {' and '.join(near)}.")
    return " ".join([*parts, "Every call is described at /docs."])


def _own(path: str) -> str:
    """A path as the calls have it: every one of them is there under /api as well."""
    return "/" + path.removeprefix("/api/").strip("/")


def _below(calls: Sequence[APIRoute], method: str, path: str) -> list[str]:
    """What is one name longer; what has a name of its own comes before what is one of many."""
    found = {
        call.path
        for call in calls
        if call.include_in_schema
        and method in (call.methods or ())
        and call.path.rpartition("/")[0] == path
    }
    return sorted(found, key=lambda name: ("{" in name, name))[:_MOST]


def _above(calls: Sequence[APIRoute], method: str, path: str) -> list[str]:
    above = path.rpartition("/")[0]
    while above:
        if method in methods_of(calls, above):
            return [above]
        above = above.rpartition("/")[0]
    return []
