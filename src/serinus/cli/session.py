"""What every command does at its edges: settings in, a client, one result out, one error out."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Sequence
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, TypeVar

from serinus.errors import InvalidInput, SerinusError

if TYPE_CHECKING:
    from rich.console import Console

    from serinus.client import Serinus
    from serinus.settings import Settings

T = TypeVar("T")

# Enough for a control plane that restarts; a person soon wants to know that there is none.
_PATIENCE_SECONDS = 5.0
# Columns of what has no edge: a file, or another program.
_ENDLESS = 100_000


class Session:
    """The options given before the command.

    Args:
        home: the state folder, None for the setting's own default.
        given: settings as ``NAME=VALUE``.
    """

    def __init__(self, home: str | None, given: Sequence[str]) -> None:
        self._home = home
        self._given = given

    def options(self, **given: Any) -> dict[str, Any]:
        """Every setting that was given on the command line, by name; None is absent.

        Raises:
            InvalidInput: a ``--set`` is not of the form NAME=VALUE or names no setting.
        """
        from serinus.settings import Settings

        found: dict[str, Any] = {"home": self._home}
        for text in self._given:
            name, equals, value = text.partition("=")
            if not equals or name not in Settings.__dataclass_fields__:
                raise InvalidInput(
                    f"{text!r} sets nothing: there is no setting {name!r}"
                    if equals
                    else f"{text!r} sets nothing",
                    where="--set",
                    remedy="Write --set NAME=VALUE; `serinus config show` lists every name.",
                )
            found[name] = value
        found.update({name: value for name, value in given.items() if value is not None})
        return {name: value for name, value in found.items() if value is not None}

    def settings(self, **given: Any) -> Settings:
        """The settings in force, with what this command was given on top.

        Raises:
            InvalidInput: listing everything that cannot be used.
        """
        from serinus import settings

        return settings.load(**self.options(**given))[0]

    def client(self, control_url: str | None = None, gateway_url: str | None = None) -> Serinus:
        """A client of the installation that the settings or the options name."""
        from serinus.client import Serinus

        settings = self.settings()
        return Serinus(
            control_url or settings.control_url,
            gateway_url or settings.gateway_url,
            actor="cli",
            patience=_PATIENCE_SECONDS,
        )


def finish(value: Any, *, as_json: bool, show: Callable[[Console], None]) -> None:
    """End a command: the value as one line of JSON, or ``show`` it to a person."""
    if as_json:
        import msgspec

        sys.stdout.write(msgspec.json.encode(value, enc_hook=str).decode() + "\n")
        sys.stdout.flush()
    else:
        show(console())


def console() -> Console:
    """Standard output, for people."""
    from rich.console import Console

    return _whole(Console(highlight=False))


def progress_console() -> Console:
    """Standard error, for what is of interest only while it happens."""
    from rich.console import Console

    return _whole(Console(stderr=True, highlight=False))


def _whole(out: Console) -> Console:
    """A console that breaks and cuts nothing where it is no terminal, unless COLUMNS says so."""
    if not out.is_terminal:
        out.width = get_terminal_size((_ENDLESS, 0)).columns
    return out


def first(items: Iterable[T], limit: int) -> list[T]:
    """At most ``limit`` items; pages after them are not fetched."""
    return list(itertools.islice(items, limit))


def tell_error(error: SerinusError, *, as_json: bool) -> None:
    """One readable message on standard error; with ``--json`` also the problem as the last line."""
    sys.stderr.write(f"serinus: {error}\n")
    if as_json:
        import msgspec

        sys.stdout.write(msgspec.json.encode({"error": error.problem()}).decode() + "\n")
