"""What a request must be before its call looks at it: from our own pages, in a form that is read.

A browser sends forms and plain text to any address, whatever page it shows; JSON it sends to
another site only if that one agrees, which this one never does. So nothing else is read, and what a
page of another site sends without any body is refused as well.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute

from serinus.errors import Forbidden, InvalidInput, UnsupportedForm

Form = Literal["json", "yaml"]

_FORMS: dict[str, Form] = {"application/json": "json", "application/yaml": "yaml"}
_ASKING = ("GET", "HEAD", "OPTIONS")


async def admit(request: Request) -> None:
    """Refuse what no call is to see. A dependency of every call.

    Raises:
        InvalidInput: the query has a field that the call does not know, or one of them twice.
        Forbidden: a page of another site sends it.
        UnsupportedForm: its content type is none that any call reads.
    """
    route = request.scope.get("route")
    if isinstance(route, APIRoute):
        _check_query(request, fields_of(route))
    if request.method not in _ASKING:
        _check_origin(request)
        form_of(request, ("json", "yaml"))


def fields_of(route: APIRoute) -> list[str]:
    """The query fields that a call knows, by name."""
    params = get_flat_params(route.dependant)
    return sorted(field.alias for field in params if isinstance(field.field_info, Query))


def form_of(request: Request, read: Sequence[Form]) -> Form | None:
    """In which form the body is, None where the request does not say.

    Args:
        request: whose.
        read: the forms that the call reads.

    Raises:
        UnsupportedForm: it is in another one.
    """
    told = request.headers.getlist("content-type")
    if not told:
        return None
    name = told[0].partition(";")[0].strip().lower()
    form = _FORMS.get(name)
    if len(told) > 1 or form is None or form not in read:
        shown = ", ".join(told)[:100]
        raise unsupported(f"a body of the type {shown!r} is not read here", read)
    return form


def unsupported(what: str, read: Sequence[Form]) -> UnsupportedForm:
    """That a body is not in a form that the call reads, and how to send it."""
    names = " or ".join(name for name, form in _FORMS.items() if form in read)
    return UnsupportedForm(
        what, where="content-type", remedy=f"Send it with the header Content-Type: {names}."
    )


def _check_query(request: Request, known: list[str]) -> None:
    given = Counter(name for name, _ in request.query_params.multi_items())
    faults = list(_unusable(given, known))
    if faults:
        raise InvalidInput(
            "the query has fields that cannot be used",
            where="query",
            faults=faults,
            remedy="Correct these; /docs describes every call.",
        )


def _unusable(given: Counter[str], known: list[str]) -> Iterator[str]:
    for name, times in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            there = f"there are {', '.join(known)}" if known else "this call has none"
            hint = f"did you mean {near[0]}?" if near else there
            yield f"query {name[:100]}: there is no such field; {hint}"
        elif times > 1:
            yield f"query {name}: it is given {times} times; give it once"


def _check_origin(request: Request) -> None:
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        ours = site in ("same-origin", "none")
    else:
        ours = origin is None or _host_of(origin) in _names_of(request)
    if not ours:
        raise Forbidden(
            "a page of another site sends this, and that page is not trusted",
            where=f"origin {origin or 'unknown'}"[:200],
            remedy="Use the dashboard of this very address, or the command line.",
        )


def _host_of(origin: str) -> str | None:
    """Host and port of an origin, as a page of it would ask for them; None if it has none."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _names_of(request: Request) -> set[str]:
    """Under which hosts (and ports) the browser may know this address.

    A proxy may ask by a name of its own and tell the browser's beside it. No page of another site
    can: a browser sends such a header only where it was agreed to.
    """
    told = (request.headers.get(name, "") for name in ("host", "x-forwarded-host"))
    return {name.strip().lower() for names in told for name in names.split(",")} - {""}
