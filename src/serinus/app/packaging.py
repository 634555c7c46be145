"""In which form a version is served, and proving another one on rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serinus import wire
from serinus.app.services import App
from serinus.deferred import Deferred
from serinus.errors import Conflict, SerinusError
from serinus.registry.packaging import packager
from serinus.registry.packaging.types import Row
from serinus.registry.types import ModelVersion

if TYPE_CHECKING:
    from serinus.data import ingest
    from serinus.registry import folders, imported, tracking
else:
    ingest = Deferred("serinus.data.ingest")
    folders = Deferred("serinus.registry.folders")
    imported = Deferred("serinus.registry.imported")
    tracking = Deferred("serinus.registry.tracking")


def shown(app: App, model: str, version: str) -> wire.Package:
    """What was tried to serve a version, and what is in use.

    Raises:
        NotFound: there is no such version, or its folder is gone.
    """
    return packager.packaged(app.registry.get(model, version).uri)


def renew(
    app: App, model: str, version: str, *, data: str | None, quantize: float | None
) -> wire.Package:
    """Convert and prove a version again; workers that load it from now on use the outcome.

    Args:
        app: the installation.
        model: of the version.
        version: of the model.
        data: a file beside the control plane, or a bundled set; None takes the rows that the
            version was trained or logged with, where they can still be read.
        quantize: largest difference that a quantized graph may show, None for none.

    Raises:
        NotFound: there is no such version or file.
        Conflict: this installation converts nothing.
    """
    found = app.registry.get(model, version)
    made = app.registry.package(
        found.uri, found.manifest, _rows(app, found, data), version=version, quantize=quantize
    )
    if made is None:
        raise Conflict(
            "this installation converts nothing",
            where="packaging_seconds",
            remedy="Set packaging_seconds to more than 0.",
        )
    return made


def rows_in(data: str, manifest: wire.Manifest) -> list[Row]:
    """The rows of a file, or bundled set, as requests would carry them.

    Raises:
        NotFound: there is none.
        InvalidInput: it cannot be read.
    """
    return folders.rows_of(ingest.read(data).frame, manifest)


def _rows(app: App, version: ModelVersion, data: str | None) -> list[Row]:
    if data is not None:
        return rows_in(data, version.manifest)
    source = str(version.dataset.get("source", ""))
    if source:
        try:
            return rows_in(source, version.manifest)
        except SerinusError:
            pass  # what it was trained on has moved, or was no file
    tracking.configure(app.settings.tracking)
    return imported.example_rows(version.uri, version.manifest)
