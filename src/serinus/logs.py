"""One log format for every process: JSON lines on standard error, coloured text on a terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]

# Libraries whose progress notes would drown ours; their warnings still come through.
_CHATTY = ("alembic", "httpx", "httpcore", "mlflow", "urllib3", "git", "uvicorn", "matplotlib")


def configure(level: str, *, process: str, human: bool | None = None) -> None:
    """Send every log line of this process, ours and the libraries', through one renderer.

    Args:
        level: the least level that is written: debug, info, warning or error.
        process: the name that each line carries (control, gateway, worker, up).
        human: coloured text instead of JSON; by default when standard error is a terminal.
    """

    def name_process(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
        event["process"] = process
        return event

    shared = [*_SHARED, name_process]
    terminal = sys.stderr.isatty() if human is None else human
    render: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def get(name: str) -> Any:
    """A logger whose calls take an event and its facts: ``log.info("started", port=8090)``."""
    return structlog.stdlib.get_logger(name)
