"""The values of the data plane that more than one of its modules knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from serinus.wire import Cell, Output

Features: TypeAlias = tuple[Cell, ...]
"""The input values of one row, in the order of the manifest."""

Outcome: TypeAlias = Output | str
"""What a model made of one row: an output, or why there is none."""


@dataclass(frozen=True, kw_only=True)
class GatewayOptions:
    """Everything a gateway is told at start. Times in seconds, sizes in bytes.

    ``environment`` is set in worker processes before any numeric library is loaded: by default
    one thread per library, because a worker is meant for one core.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    routing_table: Path
    ledger: Path | str
    archive: Path | None = None
    ledger_sync: Literal["os", "disk"] = "os"
    ledger_segment_bytes: int = 64_000_000
    request_max_bytes: int = 1_000_000
    request_max_rows: int = 1_000
    request_timeout_seconds: float = 10.0
    worker_status_seconds: float = 2.0
    poll_seconds: float = 0.02
    retry_load_seconds: float = 10.0
    mirror_rows: int = 1_000
    ledger_full: Literal["refuse", "answer"] = "refuse"
    waiting_max_rows: int = 8_192
    model_memory_bytes: int = 0
    process_memory_bytes: int = 0
    environments: Path | None = None
    remembered_rows: int = 0
    hooks: str = ""
    grpc_port: int = 0
    environment: dict[str, str] = field(
        default_factory=lambda: {
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "ORT_DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "true",
        }
    )
