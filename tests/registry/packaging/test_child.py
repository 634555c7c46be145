"""What becomes of a version's forms, tried in this process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.registry.packaging import fitted
from tests.serving.samples import save

from serinus import wire
from serinus.registry.packaging import child, proof
from serinus.registry.packaging.types import Task

pytestmark = [
    pytest.mark.filterwarnings("ignore:X does not have valid feature names"),
    pytest.mark.filterwarnings("ignore:.*type hint"),
]
CLASSES = ("no", "yes")


def task(folder: Path, estimator: Any, classes: tuple[Any, ...], **changes: Any) -> Task:
    frame = fitted.numbers()
    about = fitted.manifest(classes)
    uri = save(folder / "version", estimator.fit(frame, fitted.truth(frame, classes)), about)
    return msgspec.structs.replace(
        Task(
            folder=uri,
            manifest=about,
            rows=fitted.rows_of(frame, about),
            double=1e-6,
            single=1e-5,
            command="serinus models package m 1.0.0 --data FILE",
        ),
        **changes,
    )


def logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression())


def packaged(given: Task, work: Path) -> wire.Package:
    work.mkdir(exist_ok=True)
    return child.Packaging(given, work).run()


def test_a_proven_graph_is_used_with_its_proof(tmp_path: Path) -> None:
    made = packaged(task(tmp_path, logistic(), CLASSES), tmp_path / "work")
    (tried,) = made.attempts
    assert (made.form, made.path, tried.outcome) == ("onnx", "onnx", "used")
    assert made.rows == tried.rows == 300
    assert 0 <= made.difference <= made.tolerance == 1e-6
    assert made.opset > 8
    assert tried.variations > 100
    assert set(tried.speedup) == set(tried.original_us) == {"1", "32", "1000"}
    assert tried.speedup["1"] > 1
    assert tried.bytes == (tmp_path / "work" / "onnx").stat().st_size


def test_too_few_rows_prove_nothing_and_it_says_what_to_run(tmp_path: Path) -> None:
    given = task(tmp_path, logistic(), CLASSES)
    rows = [given.rows[place % 29] for place in range(300)]
    made = packaged(msgspec.structs.replace(given, rows=rows), tmp_path / "work")
    assert (made.form, made.path) == ("estimator", "")
    assert made.attempts[0].outcome == (
        "not proven: there are 29 different rows to compare on, and 30 are needed; "
        "run: serinus models package m 1.0.0 --data FILE"
    )


def test_a_slower_graph_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = iter([{"1": 10.0, "32": 30.0, "1000": 99.0}, {"1": 5.0, "32": 60.0, "1000": 99.0}])
    monkeypatch.setattr(proof, "microseconds", lambda *_: next(measured))
    made = packaged(task(tmp_path, logistic(), CLASSES), tmp_path / "work")
    assert made.form == "estimator"
    assert made.attempts[0].outcome == (
        "proven, but slower: 0.5 of the original's speed for 32 rows"
    )
    assert made.attempts[0].speedup == {"1": 2.0, "32": 0.5, "1000": 1.0}


def test_a_tolerance_that_no_32_bit_score_can_keep_is_said(tmp_path: Path) -> None:
    given = task(tmp_path, HistGradientBoostingClassifier(max_iter=9), CLASSES, double=1e-12)
    made = packaged(given, tmp_path / "work")
    assert made.form == "estimator"
    assert "not equal on real rows: a difference of" in made.attempts[0].outcome
    assert "1e-12 is tolerated" in made.attempts[0].outcome


def test_a_quantized_graph_is_tried_only_if_wanted(tmp_path: Path) -> None:
    given = task(tmp_path, logistic(), CLASSES, quantize=0.1)
    made = packaged(given, tmp_path / "work")
    assert [item.form for item in made.attempts] == ["onnx", "onnx-int8"]
    assert made.attempts[1].outcome.startswith("not converted: there is no product of 32-bit")
    assert made.path == "onnx"


def test_an_estimator_without_a_converter_says_so(tmp_path: Path) -> None:
    given = task(tmp_path, TransformedTargetRegressor(Ridge()), ())
    made = packaged(given, tmp_path / "work")
    assert made.form == "estimator"
    assert made.attempts[0].outcome.startswith("not converted: scikit-learn's converter gives up")


def test_the_process_reads_its_task_and_leaves_what_it_made(tmp_path: Path) -> None:
    given = task(tmp_path, logistic(), CLASSES)
    before = {path: path.read_bytes() for path in Path(given.folder).iterdir()}
    work = tmp_path / "work"
    work.mkdir()
    (work / child.TASK).write_bytes(msgspec.msgpack.encode(given))
    subprocess.run([sys.executable, "-m", child.__name__, str(work)], check=True)
    made = msgspec.msgpack.decode((work / child.MADE).read_bytes(), type=wire.Package)
    assert made.form == "onnx"
    assert {path: path.read_bytes() for path in Path(given.folder).iterdir()} == before
