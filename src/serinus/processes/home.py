"""The state folder: there and writable before anything is started."""

from __future__ import annotations

from pathlib import Path

from serinus.errors import InvalidInput


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
