from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from serinus.processes import gateway
from serinus.registry.environments import FOLDER
from serinus.settings import Settings


def test_options_carry_every_setting_of_the_same_name(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path,
        host="127.0.0.2",
        gateway_port=1234,
        ledger_sync="disk",
        request_max_bytes=77,
        request_max_rows=7,
        request_timeout_seconds=1.5,
        worker_status_seconds=0.5,
        ledger_segment_bytes=5000,
    )

    options = gateway.options(settings)

    shared = {item.name for item in fields(options)} & set(Settings.__dataclass_fields__)
    assert {name: getattr(options, name) for name in shared} == {
        name: getattr(settings, name) for name in shared
    }
    assert "request_timeout_seconds" in shared
    assert (options.port, options.ledger) == (1234, tmp_path / "ledger")
    assert options.environments == tmp_path / FOLDER
