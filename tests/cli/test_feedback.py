from __future__ import annotations

import csv
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.cli.calling import Answer, serinus
from tests.client.desks import Desk
from tests.serving import samples
from tests.serving.running import Gateway

from serinus import wire
from serinus.ledger.opening import open_reader, open_writer


@pytest.mark.parametrize("told", [[], ["1", "--value", "nan"], ["--value", "-inf"]])
def test_feedback_that_tells_nothing_is_2(tmp_path: Path, told: list[str]) -> None:
    answer = serinus("feedback", "0" * 32, *told, "--json", home=tmp_path)

    assert answer.code == 2
    assert "--value" in answer.json["error"]["where"]


def test_no_gateway_is_said_so(tmp_path: Path) -> None:
    answer = serinus("--set", "gateway_port=9", "feedback", "0" * 32, "1", home=tmp_path)

    assert answer.code == 1
    assert "no gateway answers at http://127.0.0.1:9" in answer.err


def test_import_of_a_file_that_cannot_be_used_is_2(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("id,truth\n")
    for arguments, where in (
        ([str(path)], str(path)),
        ([str(tmp_path / "missing.csv")], str(tmp_path / "missing.csv")),
        ([str(path), "--delimiter", "--"], "--delimiter"),
    ):
        answer = serinus("feedback", "import", *arguments, "--json", home=tmp_path)
        assert answer.code == 2
        assert answer.json["error"]["where"] == where


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A gateway of a model with the classes 0 and 1, and the ids of predictions in its ledger."""
    home = tmp_path_factory.mktemp("home")
    writer = open_writer(home / "ledger", segment_bytes=1_000_000)
    assignment = wire.Assignment("numbers", wire.Arm.CHAMPION, 0.0, 1)
    made = writer.append(
        [
            wire.Prediction(at, assignment, "1", (0.5,) * 4, wire.Output(1, (0.3, 0.7)), 900)
            for at in range(2_500)
        ]
    )
    writer.close()
    uri = samples.save(home / "model", samples.logistic(), samples.number_manifest())
    running = Gateway(home, free_port())
    running.publish(1, wire.Route("numbers", wire.Target("1", uri)))
    with running:
        running.until_revision(1)
        yield running, [id.hex() for id in made]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def imported(gateway: Gateway | Desk, path: Path, *options: str) -> Answer:
    given = ("--gateway-url", gateway.url, "--json", *options)
    return serinus("feedback", "import", str(path), *given, home=path.parent)


def table(path: Path, rows: list[tuple[Any, ...]], *header: str) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header or ("prediction_id", "label", "value"), *rows])
    return path


def test_import_takes_what_is_right_and_writes_down_what_is_not(
    gateway: Any, tmp_path: Path
) -> None:
    running, ids = gateway
    rows: list[tuple[Any, ...]] = [(id, at % 2, "") for at, id in enumerate(ids)]
    rows[3] = (ids[3], 2, "")
    rows[7] = ("f" * 32, 1, "")
    rows[11] = (ids[11], "", "much")
    rows[2_499] = (ids[2_499], "", -2.5)
    path = table(tmp_path / "labels.csv", rows)
    before = running.get("/stats").json()
    answer = imported(running, path)
    assert answer.code == 2, answer.err
    told = answer.json
    assert (told["rows"], told["accepted"], told["refused"]) == (2_500, 2_497, 3)
    refused = list(csv.DictReader(Path(told["rejected"]).read_text().splitlines()))
    assert told["rejected"] == f"{path}.rejected.csv"
    assert [int(row["row"]) for row in refused] == [4, 8, 12]
    assert "none of the classes" in refused[0]["reason"]
    assert refused[1]["prediction_id"] == "f" * 32
    after = running.get("/stats").json()
    assert [after[name] - before[name] for name in ("labels", "values")] == [2_496, 1]
    labels = [
        record.event
        for record in open_reader(running.ledger).scan()
        if isinstance(record.event, wire.Label)
    ]
    assert {label.prediction.hex(): label.value for label in labels} == {
        id: at % 2 for at, id in enumerate(ids) if at not in (3, 7, 11, 2_499)
    }
    # What was refused is mended and sent again: the file of refusals is no more.
    mended = table(path, [(row["prediction_id"], 1, "") for row in refused if row["row"] != "8"])
    again = imported(running, mended)
    assert (again.code, again.json["accepted"], again.json["rejected"]) == (0, 2, None)
    assert not Path(f"{path}.rejected.csv").exists()


def test_import_of_parquet_in_columns_of_other_names(gateway: Any, tmp_path: Path) -> None:
    running, ids = gateway
    path = tmp_path / "labels.parquet"
    parquet.write_table(pa.table({"id": ids[:50], "truth": [1.0] * 50}), path)
    answer = imported(running, path, "--id-column", "id", "--label-column", "truth")
    assert (answer.code, answer.json["accepted"]) == (0, 50), answer.err


def test_import_without_a_gateway_is_1_and_says_how_to_go_on(tmp_path: Path) -> None:
    path = table(tmp_path / "labels.csv", [(f"{at:032x}", 1, "") for at in range(30)])
    with Desk() as desk:
        desk.script = lambda labels, turn: (503, {"detail": "full"}, {}) if turn > 1 else None
        options = ("--rows", "10", "--connections", "1", "--patience", "0.2")
        answer = imported(desk, path, *options)
        assert answer.code == 1
        assert "--skip 10" in answer.json["error"]["remedy"]
        desk.script = lambda labels, turn: None
        resumed = imported(desk, path, "--skip", "10")
        assert (resumed.code, resumed.json["rows"]) == (0, 20)
        assert {item["prediction_id"] for item in desk.taken} == {f"{at:032x}" for at in range(30)}


def test_import_ends_cleanly_at_ctrl_c_and_goes_on(tmp_path: Path) -> None:
    path = table(tmp_path / "labels.csv", [(f"{at:032x}", 1, "") for at in range(4_000)])
    with Desk() as desk:
        desk.script = lambda labels, turn: time.sleep(0.05)
        command = [sys.executable, "-m", "serinus", "--home", str(tmp_path), "feedback", "import"]
        command += [str(path), "--gateway-url", desk.url, "--rows", "10", "--json"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 30
        while len(desk.bodies) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        told = json.loads(out.splitlines()[-1])
        assert 0 < told["skip"] < 4_000
        taken = {item["prediction_id"] for item in desk.taken}
        assert {f"{at:032x}" for at in range(told["skip"])} <= taken
        desk.script = lambda labels, turn: None
        again = imported(desk, path, "--skip", str(told["skip"]))
        assert (again.code, again.json["accepted"]) == (0, 4_000 - told["skip"])
        assert len({item["prediction_id"] for item in desk.taken}) == 4_000
