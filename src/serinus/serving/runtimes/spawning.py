"""One process of a model: started, asked, and stopped whatever it does.

A thread cannot be stopped, a process can: whoever does not answer in time, takes too much memory
or speaks nonsense is killed together with everything that it started. It is told nothing of this
process's environment but what is harmless. Starting it again is the business of ``process``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from serinus import clock
from serinus.errors import InvalidInput, Unavailable
from serinus.serving.runtimes import child, columns, surroundings

LARGEST_ANSWER = 64_000_000
TAIL_BYTES = 4_000
_LINE = 200
_LOOK_SECONDS = 0.25
_END_SECONDS = 2.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Spawned:
    """A process that runs ``child``.

    Args:
        python: the interpreter.
        is_own: whether the interpreter is another environment's than this process's.
        memory_bytes: resident memory beyond which it is stopped; 0 is any.
        name: of its threads.
        ended: called once in a thread of this object's, with why, when the process is gone.

    Raises:
        InvalidInput: the interpreter cannot be started.
    """

    def __init__(
        self,
        python: str,
        *,
        is_own: bool,
        memory_bytes: int,
        name: str,
        ended: Callable[[Spawned, str], None],
    ) -> None:
        self._memory_bytes = memory_bytes
        self._ended = ended
        self._why = ""
        self._gone = threading.Event()
        self._told = threading.Event()
        self._tail = bytearray()
        self._channel, theirs = socket.socketpair()
        life, self._life = os.pipe()
        try:
            self._process = subprocess.Popen(
                _command(python, theirs.fileno(), life, is_own=is_own),
                env=surroundings.harmless(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(), life),
                start_new_session=True,
            )
        except OSError as error:
            self._channel.close()
            os.close(self._life)
            raise InvalidInput(
                f"the interpreter cannot be started ({error.strerror})",
                where=python,
                remedy="Package the version again on this machine: serinus models package.",
            ) from error
        finally:
            theirs.close()
            os.close(life)
        self._listener = threading.Thread(target=self._listen, name=f"{name} output", daemon=True)
        self._listener.start()
        threading.Thread(target=self._await_end, name=f"{name} end", daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its process group."""
        return self._process.pid

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""
        return self._gone.is_set()

    @property
    def memory(self) -> int:
        """Its resident memory in bytes; 0 if that cannot be known."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_bytes().split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * _PAGE

    @property
    def tail(self) -> list[str]:
        """The last lines that it printed."""
        lines = bytes(self._tail).decode("utf-8", "replace").splitlines()
        return [_printable(line[:_LINE]) for line in lines if line.strip()][-20:]

    def last_words(self) -> list[str]:
        """The last lines that it printed before it was stopped: waits for its end to have come."""
        self._told.wait(_END_SECONDS)
        return self.tail

    def ask(self, question: bytes, seconds: float) -> tuple[columns.Reply, memoryview]:
        """What it answers to a message, and the numbers that follow.

        Raises:
            Unavailable: there is no answer and it is gone now; says why.
        """
        deadline = clock.monotonic() + seconds
        try:
            self._send(memoryview(question), deadline)
            head, numbers = child.HEADER.unpack(self._exactly(child.HEADER.size, deadline))
            if head + numbers > LARGEST_ANSWER:
                raise InvalidInput(f"the process sent an answer of {head + numbers} bytes")
            body = self._exactly(head + numbers, deadline)
            return columns.reply(body[:head]), body[head:]
        except InvalidInput as error:
            self.stop(error.what)
        except TimeoutError:
            self.stop(f"the process gave no answer within {seconds:g} s")
        except OSError:
            # It died, and the one who waits for it will know of what.
            self._told.wait(_END_SECONDS)
        raise Unavailable(self._why or "the process closed its end of the connection")

    @property
    def excess(self) -> str:
        """That it takes more memory than it may, in words; empty if it does not."""
        used = self.memory if self._memory_bytes else 0
        if used <= self._memory_bytes:
            return ""
        return (
            f"the process took {used / 1e6:.0f} MB of memory, "
            f"and may take {self._memory_bytes / 1e6:.0f} MB"
        )

    def stop(self, why: str) -> None:
        """Kill it and all that it started."""
        self._why = self._why or why
        if not self._gone.is_set():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def _send(self, rest: memoryview, deadline: float) -> None:
        while rest:
            rest = rest[self._moved(self._channel.send, rest, deadline) :]

    def _exactly(self, count: int, deadline: float) -> memoryview:
        found = memoryview(bytearray(count))
        rest = found
        while rest:
            got = self._moved(self._channel.recv_into, rest, deadline)
            if got == 0:
                raise ConnectionResetError
            rest = rest[got:]
        return found

    def _moved(self, move: Callable[[memoryview], int], rest: memoryview, deadline: float) -> int:
        """What went through the channel; while nothing does, watch the time and the memory."""
        while (left := deadline - clock.monotonic()) > 0:
            self._channel.settimeout(min(left, _LOOK_SECONDS))
            try:
                return move(rest)
            except TimeoutError:
                if why := self.excess:
                    raise InvalidInput(why) from None
        raise TimeoutError

    def _listen(self) -> None:
        """Keep the end of what it prints; a pipe that nobody reads would stop it one day."""
        assert self._process.stdout is not None
        with self._process.stdout as printed:
            while chunk := os.read(printed.fileno(), 65_536):
                self._tail += chunk
                del self._tail[:-TAIL_BYTES]

    def _await_end(self) -> None:
        if hasattr(os, "waitid"):
            # Until its death is taken note of, nobody else can have its number.
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._gone.set()
        code = self._process.wait()
        self._listener.join(_END_SECONDS)
        self._why = self._why or _end(code)
        self._told.set()
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()
        os.close(self._life)
        self._ended(self, self._why)


def _command(python: str, channel: int, life: int, *, is_own: bool) -> list[str]:
    # Without the program's own folder among the places of modules: it holds a ``types.py``.
    # Another environment is not to find this one's packages through PYTHONPATH either.
    alone = "-I" if is_own else "-P"
    program = str(Path(child.__file__).absolute())
    return [python, alone, "-u", "-X", "faulthandler", program, str(channel), str(life)]


def _printable(line: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def _end(code: int) -> str:
    if code >= 0:
        return f"the process ended by itself with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    kernel = ", by hand or because memory ran out" if name == "SIGKILL" else ""
    return f"the process was killed by {name}{kernel}"


def is_own(python: str) -> bool:
    """Whether an interpreter belongs to another environment than this process's."""
    return Path(python).absolute() != Path(sys.executable).absolute()
