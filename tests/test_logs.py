from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import logging, structlog, threading
from serinus import logs
logs.configure("info", process="control", human={human})
log = structlog.get_logger("serinus.test")
log.info("one", port=8090)
logging.getLogger("elsewhere").warning("two %d", 2, extra={{"model": "fraud"}})
logging.getLogger("mlflow.store").info("unheard")
log.debug("unheard")
thread = threading.Thread(target=lambda: log.error("three", exc_info=ValueError("no")))
thread.start(); thread.join()
"""


def lines(*, human: bool) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(human=human)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_lines_are_json_with_process_level_and_time() -> None:
    one, two, three = map(json.loads, lines(human=False))

    assert (one["event"], one["port"], one["level"]) == ("one", 8090, "info")
    assert (two["event"], two["model"], two["logger"]) == ("two 2", "fraud", "elsewhere")
    assert "ValueError: no" in three["exception"]
    assert {one["process"], two["process"], three["process"]} == {"control"}
    assert one["timestamp"].endswith("Z")


def test_lines_for_people_are_no_json() -> None:
    text = "\n".join(lines(human=True))

    assert "one" in text
    assert "unheard" not in text
    assert not text.startswith("{")
