"""``serinus deployments watch``: deployments as they go, until they end or Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serinus import clock
from serinus.cli.options import ControlUrl, Json
from serinus.cli.session import console, finish, progress_console
from serinus.errors import InvalidInput, NotFound, SerinusError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from serinus.cli.bars import Marks
    from serinus.client import Serinus
    from serinus.client.foresight import Forecast
    from serinus.client.types import DeploymentStatus
    from serinus.client.watching import Glance

_PER_SECOND = 4
_WITHOUT_SUCCESS = ("rolled_back", "aborted", "inconclusive")

Which = Annotated[
    str | None, typer.Argument(metavar="DEPLOYMENT", help="Its id, or a model for its newest.")
]


def watch(
    context: typer.Context,
    deployment: Which = None,
    every: Annotated[bool, typer.Option("--all", help="All deployments, each in a line.")] = False,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Watch a deployment until it has ended, or all of them; Ctrl-C leaves them running.

    Exits with 1 if it ended rolled back, aborted or inconclusive.
    """
    if every is (deployment is not None):
        raise InvalidInput(
            "it is not clear what to watch",
            where="serinus deployments watch",
            remedy="Name a deployment or a model, or say --all.",
        )
    with context.obj.client(url) as client:
        if deployment is None:
            follow_all(client, as_json=as_json)
        else:
            follow(client, identity(client, deployment), as_json=as_json)


def identity(client: Serinus, name: str) -> str:
    """The id of a deployment, or of a model's newest one.

    Raises:
        NotFound: there is neither a deployment nor a model with one of this name.
    """
    return named(client, name).deployment.id


def named(client: Serinus, name: str) -> DeploymentStatus:
    """A deployment by its id, or a model's newest one, as it is now.

    Raises:
        NotFound: there is neither a deployment nor a model with one of this name.
    """
    try:
        return client.deployment(name)
    except NotFound as unknown:
        try:
            return client.deployment_of(name)
        except NotFound:
            raise NotFound(
                f"{name!r} is neither a deployment nor a model that has one",
                remedy="`serinus deployments list` names them.",
            ) from unknown


def follow(client: Serinus, deployment: str, *, as_json: bool) -> None:
    """Show a deployment until it has ended.

    Raises:
        typer.Exit: with 1, it ended without success.
    """
    from serinus.client.following import Away
    from serinus.client.following import deployment as following

    view = _View(client)
    with leaving(f"It goes on. Look again: serinus deployments watch {deployment}"):
        out = console()
        with _shown(out, view, as_json=as_json) as news:
            for found in following(client, deployment):
                if isinstance(found, Away):
                    view.away = away(found.seconds, found.why)
                else:
                    view.take(found)
                news(found)
    if view.status is not None and not as_json:
        _tell_end(out, view)
    if view.status is not None and view.status.deployment.phase in _WITHOUT_SUCCESS:
        raise typer.Exit(1)


def _tell_end(out: Console, view: _View) -> None:
    """On a terminal the last picture stays; the last line of a log says how it went."""
    if out.is_terminal:
        out.print(view.render(out, height=0))
        item = view.status.deployment if view.status else None
        out.print(f"Everything about it: serinus deployments show {item.id}" if item else "")


def follow_all(client: Serinus, *, as_json: bool) -> None:
    """Show all deployments until somebody interrupts."""
    from serinus.client.following import Away, all_deployments

    view = _Board()
    with (
        leaving("They go on. Look again: serinus deployments watch --all"),
        _shown(console(), view, as_json=as_json) as news,
    ):
        for found in all_deployments(client):
            if isinstance(found, Away):
                view.away = away(found.seconds, found.why)
            else:
                view.take(found)
            news(found)


def away(seconds: float, why: str) -> str:
    """That the control plane does not answer, and that this is no reason to worry."""
    return (
        f"No word from the control plane for {seconds:.0f} s ({why}). Gateways go on as they are; "
        "trying again."
    )


class _View:
    """One deployment: the newest status, and how it is drawn."""

    def __init__(self, client: Serinus) -> None:
        self._client = client
        self._forecast_of = -1
        self.forecast: Forecast | None = None
        self.status: DeploymentStatus | None = None
        self.away = ""

    def take(self, status: DeploymentStatus) -> None:
        """A newer status; the forecast is asked for once a step, and only where it is shown."""
        self.status, self.away = status, ""

    def foresee(self) -> None:
        """Learn how the steps to come will go, unless this step's forecast is known."""
        if self.status is None or self._forecast_of == self.status.deployment.step:
            return
        self._forecast_of = self.status.deployment.step
        try:
            self.forecast = self._client.prognosis(self.status.deployment.id)
        except SerinusError:
            # It is worth a line, not the view.
            self.forecast = None

    def line(self) -> str:
        """What a log is told."""
        from serinus.cli import screen

        return self.away or (screen.line(self.status) if self.status else "")

    def render(self, out: Console, *, height: int | None = None) -> RenderableType:
        """The picture of now."""
        from rich.text import Text

        from serinus.cli import screen

        if self.status is None:
            return Text(self.away or "Looking.", "dim")
        high = out.size.height if height is None else height
        sight = screen.Sight(
            self.status, clock.now(), out.width, high, self.forecast, self.away, marks_of(out)
        )
        return screen.screen(sight)


class _Board:
    """All deployments: the newest line of each."""

    def __init__(self) -> None:
        self._known: dict[str, Glance] = {}
        self._last: Glance | None = None
        self.away = ""

    def take(self, glance: Glance) -> None:
        """A newer line."""
        self._known[glance.id] = self._last = glance
        self.away = ""

    def foresee(self) -> None:
        """Nothing is foretold of all."""

    def line(self) -> str:
        """What a log is told."""
        from serinus.cli import board

        return self.away or (board.line(self._last) if self._last else "")

    def render(self, out: Console, *, height: int | None = None) -> RenderableType:
        """The picture of now."""
        from serinus.cli import board

        return board.board(
            tuple(self._known.values()),
            clock.now(),
            out.width,
            height=out.size.height if height is None else height,
            away=self.away,
            marks=marks_of(out),
        )


def marks_of(out: Console) -> Marks:
    """What to draw with on a console: Unicode only where it shows."""
    from serinus.cli import bars

    return bars.LINES if out.encoding.lower().startswith("utf") else bars.PLAIN


@contextmanager
def _shown(out: Console, view: _View | _Board, *, as_json: bool) -> Iterator[Callable[[Any], None]]:
    """What is called with each change: it draws, writes a line of JSON, or a line of text."""
    from serinus.client.following import Away

    if as_json:
        yield lambda found: _tell_away(view) if isinstance(found, Away) else _json(found)
    elif out.is_terminal:
        from rich.live import Live

        # It is drawn anew while nothing comes as well: times go on.
        with Live(
            console=out,
            get_renderable=lambda: view.render(out),
            refresh_per_second=_PER_SECOND,
            transient=isinstance(view, _View),
        ) as live:

            def drawn(_: Any) -> None:
                view.foresee()
                live.refresh()

            yield drawn
    else:
        yield _lines(out, view)


def _lines(out: Console, view: _View | _Board) -> Callable[[Any], None]:
    """A line whenever it says something else than the one before."""
    told: list[str] = []

    def tell(_: Any) -> None:
        line = view.line()
        # Since when nobody answers grows from line to line; once is enough.
        key = line if not view.away else "away"
        if told[-1:] != [key]:
            told[:] = [key]
            out.print(line, soft_wrap=True, markup=False)

    return tell


def _tell_away(view: _View | _Board) -> None:
    progress_console().print(view.away, soft_wrap=True, markup=False)


def _json(found: Any) -> None:
    finish(found, as_json=True, show=lambda _: None)


@contextmanager
def leaving(hint: str) -> Iterator[None]:
    """Ctrl-C ends the look, not what is looked at: say so, and how to come back."""
    try:
        yield
    except KeyboardInterrupt:
        sys.stdout.flush()
        progress_console().print(hint, soft_wrap=True, markup=False)
        raise
