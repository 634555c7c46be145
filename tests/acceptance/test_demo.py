"""`serinus demo` on a file of one's own, to the last line of its output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_diabetes

pytestmark = pytest.mark.timeout(300)

PROMISED = {
    "promoted",
    "rolled_back",
    "drift_alarms_before_shift",
    "drift_found_after_windows",
    "retrained",
    "requests",
    "dropped_requests",
    "acknowledged",
    "in_ledger",
    "requests_to_rollback",
    "seconds",
    "verdicts",
}


def test_demo_on_a_csv_does_all_that_it_promises(tmp_path: Path) -> None:
    data = tmp_path / "progress.csv"
    load_diabetes(as_frame=True).frame.to_csv(data, index=False)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "serinus",
            "demo",
            "--data",
            str(data),
            "--target",
            "target",
            "--json",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=280,
        check=False,
        # Whoever tries it may have an MLflow and a database, which are none of the demo's business.
        env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/theirs.db"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result.keys() >= PROMISED
    assert [result[name] for name in ("promoted", "rolled_back", "retrained")] == [True] * 3
    assert result["dropped_requests"] == 0
    assert result["acknowledged"] == result["in_ledger"] == result["requests"]
    assert result["drift_alarms_before_shift"] == 0
    assert [item["phase"] for item in result["verdicts"]] == ["succeeded", "rolled_back", "soaking"]
    assert all(item["reason"] for item in result["verdicts"])
    assert list(tmp_path.iterdir()) == [data]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        ("a,b\n1,2\n", "target column 'y'"),
        ("a,y\n" + "1,1\n" * 300, "only one class"),
        ("a,a,y\n" + "1,2,0\n2,1,1\n" * 150, "a"),
    ],
)
def test_demo_refuses_data_it_cannot_use(tmp_path: Path, content: str, said: str) -> None:
    data = tmp_path / "data.csv"
    data.write_text(content)
    done = subprocess.run(
        [sys.executable, "-m", "serinus", "demo", "--data", str(data), "--target", "y"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [data]
