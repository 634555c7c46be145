"""Whether a version's artifact folder is there to be loaded, without loading it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from serinus.registry.types import ModelVersion
from serinus.wire import MANIFEST_FILE, Manifest


def why_not(version: ModelVersion) -> str:
    """Why no gateway could load the version; empty if nothing speaks against it.

    Folders are looked into; of an object store's address only the gateways can tell.
    """
    parts = urlsplit(version.uri)
    if parts.scheme not in ("", "file"):
        return ""
    folder = Path(unquote(parts.path)) if parts.scheme else Path(version.uri)
    if not folder.is_dir():
        return f"its folder {folder} does not exist"
    path = folder / MANIFEST_FILE
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        return f"its manifest {path} cannot be read ({error})"
    if manifest.model != version.model:
        return f"its manifest {path} is of {manifest.model!r}"
    return ""
