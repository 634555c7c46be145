"""Versions that run in processes and environments of their own, across the registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from serinus import wire
from serinus.app.services import App
from serinus.registry import environments
from serinus.registry.environments import Environment, Tell
from serinus.registry.packaging import isolated

_PAGE = 100


def isolate(
    app: App, model: str, version: str, tell: Tell, *, with_environment: bool
) -> wire.Package:
    """Have a version served by a process of its own from its next load on.

    Args:
        app: the installation.
        model: of the version.
        version: of the model.
        tell: is told the progress in words.
        with_environment: with the packages that its model asks for, instead of the gateway's.

    Raises:
        NotFound: there is no such version.
        InvalidInput: the environment cannot be made, or the version does not answer in it.
    """
    found = app.registry.get(model, version)
    return isolated.isolate(
        found.uri, found.manifest, app.settings.home, tell, with_environment=with_environment
    )


def listing(app: App) -> list[tuple[Environment, bool]]:
    """The environments of this installation, and whether a version runs in each."""
    used = _used(app)
    found = environments.listing(app.settings.home)
    return [(environment, environment.python in used) for environment in found]


def prune(app: App, *, remove: bool) -> list[Environment]:
    """The environments that no version runs in, removed if ``remove``.

    One that was made within the last hour stays: its version may not be written down yet.
    """
    return environments.prune(app.settings.home, _used(app), remove=remove)


def _used(app: App) -> set[str]:
    return environments.interpreters(_folders(app), wire.PACKAGE_FILE)


def _folders(app: App) -> Iterator[Path]:
    """The folders of all versions; what lies elsewhere cannot name an interpreter of here."""
    model: str | None = None
    while models := app.registry.models(_PAGE, model):
        for item in models:
            version: str | None = None
            while versions := app.registry.versions(item.name, _PAGE, version):
                for one in versions:
                    if urlsplit(one.uri).scheme in {"", "file"}:
                        yield Path(unquote(urlsplit(one.uri).path))
                version = versions[-1].version
        model = models[-1].name
