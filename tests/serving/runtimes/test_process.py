import contextlib
import logging
import os
import signal
import threading
import time

import numpy as np
import pytest
from tests.serving import samples
from tests.serving.runtimes import wild
from tests.serving.runtimes.test_spawning import is_running, until

from serinus.errors import InvalidInput
from serinus.serving.runtimes.estimator import SklearnRuntime
from serinus.serving.runtimes.outcomes import UNUSABLE
from serinus.serving.runtimes.process import ProcessRuntime
from serinus.serving.runtimes.pyfunc import PyfuncRuntime
from serinus.serving.runtimes.types import ProcessLimits
from serinus.wire import Output

QUICK = ProcessLimits(call_seconds=0.5, rest_seconds=0.05)


@contextlib.contextmanager
def running(folder, manifest, limits=QUICK, python=""):
    runtime = ProcessRuntime(manifest, folder, python, limits)
    try:
        yield runtime
    finally:
        pid = runtime.pid
        runtime.close()
        if pid:
            until(lambda: not is_running(pid))


@pytest.fixture
def runtime(tmp_path):
    folder = wild.save(tmp_path / "m", wild.wild(), wild.REGRESSION)
    with running(folder, wild.REGRESSION) as made:
        yield made


def until_other(runtime, pid):
    """Wait until another process answers."""
    until(lambda: runtime.pid not in {0, pid})
    assert runtime.answer([wild.row(x=3.0)]) == [Output(3.0)]


def test_process_answers_numbers_text_and_what_is_missing(runtime):
    rows = [wild.row(x=1.5), wild.row("raised", 2.0), wild.row(None, 0.0)]
    assert runtime.answer(rows) == [Output(1.5), Output(2.0), Output(0.0)]
    assert runtime.answer([("", 1.0, None, None), ("ü", 2.0, 1, False)]) == [
        Output(1.0),
        Output(2.0),
    ]


def test_process_answers_are_checked_against_the_manifest(runtime):
    assert runtime.answer([wild.row(x=None), wild.row(x=1.0)]) == [UNUSABLE, Output(1.0)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("name", [Output("no"), Output("yes")]),
        ("scores", [Output("no", (0.875, 0.125)), Output("yes", (0.25, 0.75))]),
    ],
)
def test_process_answers_classes_and_scores(tmp_path, answer, expected):
    folder = wild.save(tmp_path / "m", wild.wild(answer=answer), wild.CLASSES)
    with running(folder, wild.CLASSES) as runtime:
        assert runtime.answer([wild.row(x=0.5), wild.row(x=3.0)]) == expected


@pytest.mark.parametrize("form", ["pickle", "skops"])
def test_process_answers_of_estimators_are_those_of_the_gateways_own_process(tmp_path, form):
    manifest, fitted = samples.number_manifest(), samples.logistic()
    samples.save(tmp_path / "m", fitted, manifest, form=form)
    rows = [tuple(row) for row in np.random.default_rng(3).normal(size=(50, 4)).tolist()]
    with running(tmp_path / "m", manifest) as runtime:
        assert runtime.answer(rows) == SklearnRuntime(fitted, manifest).answer(rows)


def test_process_answers_of_a_model_that_decides_otherwise_than_by_score(tmp_path):
    manifest = samples.manifest()
    samples.save(tmp_path / "m", samples.obedient(), manifest)
    rows = [(61.0, 0.0, "Ulm"), (20.0, None, None)]
    with running(tmp_path / "m", manifest) as runtime:
        assert runtime.answer(rows) == SklearnRuntime(samples.obedient(), manifest).answer(rows)
        assert runtime.answer([(61.0, 2.0, "Ulm")]) == [UNUSABLE]


def test_process_answers_of_any_mlflow_model(tmp_path):
    model = wild.wild(answer="scores")
    folder = wild.save_pyfunc(tmp_path / "m", model, wild.CLASSES)
    rows = [wild.row(x=0.5), wild.row(None, 3.0), wild.row("ü", None)]
    with running(folder, wild.CLASSES) as runtime:
        assert runtime.answer(rows) == PyfuncRuntime(model, wild.CLASSES).answer(rows)
        assert "mlflow" in runtime.versions
        assert runtime.answer([wild.row("raise again")]) == ["ValueError: again"]


def test_process_whose_model_raises_goes_on(runtime):
    pid = runtime.pid
    assert runtime.answer([wild.row("raise it")]) == ["ValueError: it"]
    assert runtime.answer([wild.row("exit 3")]) == ["SystemExit: 3"]
    with pytest.raises(InvalidInput, match="ValueError: it"):
        runtime.answer([wild.row("raise it"), wild.row()])
    assert runtime.answer([wild.row()]) == [Output(1.0)]
    assert runtime.pid == pid


@pytest.mark.parametrize(
    ("deed", "why"),
    [
        ("sleep 30", "the process gave no answer within 0.5 s"),
        ("end 3", "the process ended by itself with exit code 3"),
        ("crash", "the process was killed by SIGSEGV"),
    ],
)
def test_process_that_is_lost_fails_its_rows_and_comes_back(runtime, caplog, deed, why):
    pid = runtime.pid
    assert runtime.answer([wild.row(), wild.row(deed)]) == [why, why]
    until_other(runtime, pid)
    assert why in caplog.text


def test_process_that_is_being_started_again_says_why(tmp_path):
    folder = wild.save(tmp_path / "m", wild.wild(), wild.REGRESSION)
    with running(folder, wild.REGRESSION) as runtime:
        (folder / "model.pkl").rename(folder / "away.pkl")
        pid = runtime.pid
        os.kill(pid, signal.SIGKILL)
        until(lambda: runtime.pid == 0)
        begun = time.monotonic()
        (why,) = runtime.answer([wild.row()])
        assert time.monotonic() - begun < 0.2
        assert why.startswith("the process is being started again: the process was killed by SIG")
        until(lambda: "FileNotFoundError" in runtime.answer([wild.row()])[0])
        (folder / "away.pkl").rename(folder / "model.pkl")
        until_other(runtime, pid)


def test_process_rests_longer_before_each_start(tmp_path, caplog):
    folder = wild.save(tmp_path / "m", wild.wild(), wild.REGRESSION)
    limits = ProcessLimits(rest_seconds=0.2, longest_rest_seconds=0.8)
    with running(folder, wild.REGRESSION, limits) as runtime:
        lived = []
        for _ in range(4):
            pid, begun = runtime.pid, time.monotonic()
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: runtime.pid not in {0, pid})
            lived.append(time.monotonic() - begun)
    assert lived[1] > 0.2
    assert lived[2] > 0.4
    assert lived[3] > 0.8


def test_process_that_takes_too_much_memory_is_replaced_without_losing_a_row(tmp_path, caplog):
    folder = wild.save(tmp_path / "m", wild.wild(), wild.REGRESSION)
    limits = ProcessLimits(memory_bytes=200_000_000)
    with running(folder, wild.REGRESSION, limits) as runtime, caplog.at_level(logging.WARNING):
        pid = runtime.pid
        deadline = time.monotonic() + 20
        while runtime.pid == pid:
            assert time.monotonic() < deadline
            deed = "take 10" if runtime.memory < 210_000_000 else ""
            assert runtime.answer([wild.row(deed)]) == [Output(1.0)]
        assert runtime.pid != 0
        assert runtime.answer([wild.row()]) == [Output(1.0)]
        assert "may take 200 MB; it is replaced" in caplog.text
        until(lambda: not is_running(pid))


def test_process_that_cannot_load_its_model_shows_what_it_printed(tmp_path):
    folder = wild.save(tmp_path / "m", wild.wild(), wild.REGRESSION)
    (folder / "model.pkl").write_bytes(b"cno_such_module\nThing\n.")
    with pytest.raises(InvalidInput, match="No module named 'no_such_module'") as caught:
        ProcessRuntime(wild.REGRESSION, folder)
    assert "models package" in caught.value.remedy
    assert any("ModuleNotFoundError" in line for line in caught.value.faults)


def test_process_that_takes_too_long_to_load(tmp_path):
    manifest = samples.number_manifest()
    samples.save(tmp_path / "m", samples.sleepy(30.0), manifest)
    with pytest.raises(InvalidInput, match=r"no answer within 1 s"):
        ProcessRuntime(manifest, tmp_path / "m", limits=ProcessLimits(start_seconds=1.0))


def test_process_with_other_classes_than_its_manifest(tmp_path):
    manifest = samples.number_manifest(classes=("a", "b", "c"))
    samples.save(tmp_path / "m", samples.logistic(), manifest)
    with pytest.raises(InvalidInput, match="the model knows the classes"):
        ProcessRuntime(manifest, tmp_path / "m")


def test_process_closed_during_a_call_ends_it(tmp_path):
    folder = wild.save(tmp_path / "m", wild.wild(), wild.REGRESSION)
    with running(folder, wild.REGRESSION, ProcessLimits()) as runtime:
        pid = runtime.pid
        threading.Timer(0.2, runtime.close).start()
        begun = time.monotonic()
        assert runtime.answer([wild.row("sleep 30")]) == ["the version is no longer served"]
        assert time.monotonic() - begun < 5
        until(lambda: not is_running(pid))
        time.sleep(0.3)
        assert runtime.pid == 0
