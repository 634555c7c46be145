from __future__ import annotations

import json
from pathlib import Path

from serinus.processes.worker import plain
from serinus.settings import Settings


def test_plain_settings_are_json_that_makes_them_again(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, gateway_port=1, drift_false_alarm_windows=50.0)

    assert Settings(**json.loads(json.dumps(plain(settings)))) == settings
