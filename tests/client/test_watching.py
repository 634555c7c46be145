from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.cli.documents import status

from serinus.client.watching import Message, glance_of, messages


def test_messages_are_the_events_of_a_stream() -> None:
    lines = [
        ": watching", "", "id: a-1", "event: status", 'data: {"a":', "data:1}", "", "id: a-2", "",
        "event: end", "data: {}", "", "data: cut off",
    ]  # fmt: skip
    assert list(messages(lines)) == [
        Message("status", b'{"a":\n1}', "a-1"),
        Message("end", b"{}", "a-2"),
    ]


@given(st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs")))))
def test_messages_bear_any_lines(lines: list[str]) -> None:
    assert all(
        message.data or "data:" in "".join(lines) or "data" in lines for message in messages(lines)
    )


def test_glance_is_a_status_in_a_line() -> None:
    glance = glance_of(status())
    assert (glance.position, glance.live, glance.requests) == ("25 %", True, 16_456)
    assert glance.reason == "Errors are undecided at 22 to 1."
    assert glance.steps == ("shadow", "5 %", "25 %", "50 %", "all traffic")
