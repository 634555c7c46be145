"""A hostile client: does what an attack says, and tells what came of it."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from serinus.errors import InvalidInput
from serinus.stress.answers import Answer, Parser
from serinus.stress.attacks import Attack
from serinus.stress.requests import JSON

_HOST = "127.0.0.1"
_RESET = struct.pack("ii", 1, 0)
_QUIET_SECONDS = 0.1
_PROBLEM = b"application/problem+json"


@dataclass
class Outcome:
    """What one client saw.

    Attributes:
        answers: in the order in which they came.
        ended: whether the server closed the connection, or the client left it.
        unsent: whether the server stopped reading before everything was sent.
        garbled: why what came was no answer.
    """

    answers: list[Answer] = field(default_factory=list)
    ended: bool = False
    unsent: bool = False
    garbled: str = ""


async def strike(port: int, attack: Attack, *, patience: float) -> Outcome:
    """Be that client.

    Args:
        port: of the gateway on this machine.
        attack: what to do.
        patience: seconds to wait for the answers, or for the end of the connection.
    """
    outcome = Outcome()
    try:
        reader, writer = await asyncio.open_connection(_HOST, port)
    except OSError as error:
        outcome.garbled = f"no connection: {error}"
        return outcome
    news = asyncio.Event()
    listening = asyncio.create_task(_listen(reader, attack, outcome, news))
    try:
        await _send(writer, attack, outcome)
        if attack.ending in ("leave", "reset"):
            outcome.ended = True
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await _await_end(writer, attack, outcome, news)
    finally:
        listening.cancel()
        _close(writer, reset=attack.ending == "reset")
    return outcome


def judge(attack: Attack, outcome: Outcome) -> str:
    """What was wrong with how the gateway took an attack; empty if nothing was."""
    if outcome.garbled:
        return outcome.garbled
    for answer in outcome.answers:
        if answer.status not in attack.statuses:
            return f"answered {answer.status}: {answer.body[:200]!r}"
        if answer.status >= 400 and not attack.head and (fault := _unexplained(answer)):
            return fault
    if not outcome.ended:
        return f"left hanging after {len(outcome.answers)} answers"
    if attack.answers is not None and len(outcome.answers) != attack.answers:
        return f"{len(outcome.answers)} answers instead of {attack.answers}"
    waited = attack.ending == "wait" and not attack.silent and not outcome.unsent
    if waited and not outcome.answers:
        return "the connection was closed without a word"
    return ""


def _unexplained(answer: Answer) -> str:
    """What a refusal lacks.

    It is a problem document, or as a protocol wants it ``{"error": ...}`` (open inference) or
    ``{"message": ...}`` (MLflow).
    """
    try:
        document = msgspec.json.decode(answer.body)
    except msgspec.DecodeError as error:
        return f"{answer.status} is no JSON ({error}): {answer.body[:100]!r}"
    kind = answer.headers.get(b"content-type", b"")
    if kind == _PROBLEM and document.get("status") == answer.status and document.get("detail"):
        return ""
    if kind == JSON and (document.get("error") or document.get("message")):
        return ""
    return f"{answer.status} gives no reason: {answer.body[:100]!r}"


async def _send(writer: asyncio.StreamWriter, attack: Attack, outcome: Outcome) -> None:
    try:
        for part in attack.parts:
            writer.write(part)
            await writer.drain()
            if attack.pause:
                await asyncio.sleep(attack.pause)
            if outcome.ended:
                break
    except OSError:
        outcome.unsent = True


async def _listen(
    reader: asyncio.StreamReader, attack: Attack, outcome: Outcome, news: asyncio.Event
) -> None:
    parser = Parser(bodiless=attack.head)
    try:
        while data := await reader.read(65_536):
            outcome.answers += parser.feed(data)
            news.set()
        if parser.rest:
            outcome.garbled = f"ended within an answer: {parser.rest[:100]!r}"
    except InvalidInput as error:
        outcome.garbled = str(error)
    except OSError:
        # The connection was reset: an answer may have been lost on its way.
        outcome.unsent = True
    outcome.ended = True
    news.set()


async def _await_end(
    writer: asyncio.StreamWriter, attack: Attack, outcome: Outcome, news: asyncio.Event
) -> None:
    if attack.answers is not None:
        while len(outcome.answers) < attack.answers and not outcome.ended:
            await news.wait()
            news.clear()
        # One answer too many would come at once.
        await asyncio.sleep(0)
        outcome.ended = True
        return
    if attack.ending == "wait":
        await _until_quiet(outcome, news)
        # Uvloop says by a RuntimeError that the connection is gone already.
        with suppress(OSError, RuntimeError):
            writer.write_eof()
    while not outcome.ended:
        await news.wait()
        news.clear()


async def _until_quiet(outcome: Outcome, news: asyncio.Event) -> None:
    """Until nothing more comes for a moment."""
    with suppress(TimeoutError):
        while not outcome.ended:
            async with asyncio.timeout(_QUIET_SECONDS):
                await news.wait()
            news.clear()


def _close(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    raw = writer.get_extra_info("socket")
    if reset and raw is not None:
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    with suppress(OSError):
        writer.transport.abort()
