"""Where a worker of the gateway spends its time: its functions, by the profiler of the library.

The profiler itself costs a good deal, most of it in small functions: the order is what to read,
not the seconds.
"""

from __future__ import annotations

import io
import pstats
import tempfile
from pathlib import Path

from serinus.bench import artifact, launch, load, servers
from serinus.bench.turns import Pace

_SHOWN = 40


def run(kind: str, pace: Pace, file: Path) -> str:
    """The functions of a worker under single rows of a kind of model; see :func:`of`."""
    with tempfile.TemporaryDirectory(prefix="serinus-bench-") as folder:
        artifact.make(Path(folder), (kind,))
        return of(kind, Path(folder), pace, file)


def of(kind: str, home: Path, pace: Pace, file: Path) -> str:
    """The functions of the worker of a gateway under single rows, the dearest first.

    Args:
        kind: of model that is asked.
        home: the gateway's folder.
        pace: its seconds are those of the load.
        file: gets all figures, for ``pstats`` and what reads its files.

    Raises:
        Unavailable: the gateway did not start, or stopped answering.
    """
    cores = launch.cores()
    file = file.absolute()
    with servers.start((cores.server,), home, profile=file) as gateway:
        path = f"/models/{kind}/predict"
        order = load.Order(gateway.port, path, artifact.bodies(), pace.connections, pace.seconds)
        tally = launch.drive(order, cores.load)
    text = io.StringIO()
    pstats.Stats(str(file), stream=text).strip_dirs().sort_stats("tottime").print_stats(_SHOWN)
    return f"{tally.per_second:,.0f} requests a second under the profiler\n{text.getvalue()}"
