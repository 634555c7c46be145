"""Following, over real servers that behave and that do not."""

from __future__ import annotations

import msgspec
import pytest
from tests.cli.documents import deployment, status
from tests.client.desks import answering

from serinus.client import Serinus
from serinus.client.following import Away, all_deployments
from serinus.client.following import deployment as following
from serinus.errors import NotFound, Unavailable

RUNNING = msgspec.json.encode(status())
ENDED = msgspec.json.encode(
    status(deployment=deployment(phase="succeeded", ended_at=deployment().updated_at))
)


def sse(*events: tuple[str, str, bytes]) -> tuple[int, str, bytes]:
    body = b"".join(
        b"id: %b\nevent: %b\ndata: %b\n\n" % (i.encode(), n.encode(), d) for i, n, d in events
    )
    return 200, "text/event-stream; charset=utf-8", body


def test_following_goes_on_after_the_last_event_when_the_stream_breaks() -> None:
    broken = sse(("a-1", "status", RUNNING))
    rest = sse(("a-2", "status", ENDED), ("", "end", b"{}"))
    with answering(broken, (503, "text/plain", b"soon"), rest) as (client, asked):
        found = list(following(client, "d1"))
    kinds = [item.deployment.phase if not isinstance(item, Away) else "away" for item in found]
    assert kinds == ["running", "away", "away", "succeeded"]
    assert asked == ["", "a-1", "a-1"]


def test_following_looks_where_no_events_come() -> None:
    page = (200, "text/html", b"<p>a proxy</p>")
    with answering(page, (200, "application/json", ENDED)) as (client, _):
        found = list(following(client, "d1"))
    assert [item.deployment.phase for item in found if not isinstance(item, Away)] == ["succeeded"]


def test_following_gives_up_when_patience_is_over() -> None:
    with answering(sse(("a-1", "status", RUNNING))) as (client, _):
        events = iter(following(client, "d1", patience=0.0))
        assert not isinstance(next(events), Away)
    with pytest.raises(Unavailable):
        list(events)


def test_following_nobody_fails_at_once() -> None:
    with (
        Serinus("http://127.0.0.1:9") as client,
        pytest.raises(Unavailable, match="no control plane"),
    ):
        next(iter(following(client, "d1")))
    problem = (404, "application/problem+json", b'{"detail": "there is no deployment"}')
    with answering(problem) as (client, _), pytest.raises(NotFound):
        next(iter(all_deployments(client, "m")))
