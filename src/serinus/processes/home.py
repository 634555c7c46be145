"""The state folder: there and writable before anything is started."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serinus.errors import Conflict, InvalidInput


def prepare(home: Path) -> None:
    """Make the state folder and prove that it can be written.

    Raises:
        InvalidInput: it cannot be made or written.
    """
    probe = home / ".writable"
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"the state folder cannot be written ({error.strerror})",
            where=str(home),
            remedy="Make it writable, or choose another with --home or SERINUS_HOME.",
        ) from error


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Be the only installation in this folder; the kernel lets go however this process ends.

    Raises:
        Conflict: another `serinus up` runs in it: two would share one ledger and one database.
    """
    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                "another `serinus up` runs in this folder",
                where=str(home),
                remedy="Use that one, stop it first, or choose another folder with --home.",
            ) from error
        yield
