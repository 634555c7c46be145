from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.registry.packaging import fitted
from tests.serving.samples import save

from serinus import wire
from serinus.errors import InvalidInput, NotFound
from serinus.registry.packaging import packager
from serinus.registry.packaging.types import Limits
from serinus.serving.runtimes import artifacts
from serinus.serving.runtimes.estimator import SklearnRuntime
from serinus.serving.runtimes.onnx import OnnxRuntime
from serinus.wire import PACKAGE_FILE, Target

pytestmark = [
    pytest.mark.filterwarnings("ignore:X does not have valid feature names"),
    pytest.mark.filterwarnings("ignore:.*type hint"),
]
ABOUT = fitted.manifest((0, 1))


def logistic(seed: int = 0) -> Any:
    frame = fitted.numbers(seed=seed)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    return model.fit(frame, fitted.truth(frame, (0, 1)))


def rows() -> list[Any]:
    return fitted.rows_of(fitted.numbers(), ABOUT)


def test_a_version_is_packaged_served_as_packaged_and_packaged_again(tmp_path: Path) -> None:
    uri = save(tmp_path / "version", logistic(), ABOUT)
    before = {path.name for path in Path(uri).iterdir()}

    made = packager.package(uri, ABOUT, rows(), limits=Limits())

    assert made.form == "onnx"
    assert {path.name for path in Path(uri).iterdir()} - before == {PACKAGE_FILE, made.path}
    assert packager.packaged(Path(uri).as_uri()) == made
    served = artifacts.load("m", Target("1.0.0", uri))
    assert isinstance(served, OnnxRuntime)
    (Path(uri) / "serinus-0ld.onnx").touch()
    again = packager.package(Path(uri).as_uri(), ABOUT, rows(), limits=Limits(double=0.0))
    assert again.form == "estimator"
    assert "not equal" in again.attempts[0].outcome
    assert {path.name for path in Path(uri).iterdir()} - before == {PACKAGE_FILE}
    assert isinstance(artifacts.load("m", Target("1.0.0", uri)), SklearnRuntime)


@pytest.mark.parametrize("quantize", [None, 0.05])
def test_too_few_rows_take_no_proof_away(tmp_path: Path, quantize: float | None) -> None:
    uri = save(tmp_path / "version", logistic(), ABOUT)
    first = packager.package(uri, ABOUT, rows()[:29] * 3, limits=Limits(), version="1.2.0")
    command = "serinus models package m 1.2.0 --data FILE"
    assert (first.form, first.attempts[0].outcome.split("run: ")[1]) == ("estimator", command)
    proven = packager.package(uri, ABOUT, rows(), limits=Limits())

    for _ in range(2):
        again = packager.package(uri, ABOUT, rows()[:3], limits=Limits(), quantize=quantize)

        assert (again.form, again.path, again.rows) == ("onnx", proven.path, proven.rows)
        used, *tried = again.attempts
        assert used == proven.attempts[0]
        assert [attempt.form for attempt in tried] == ["onnx", "onnx-int8"][: len(tried)]
        assert "there are 3 different rows" in tried[0].outcome
        assert "proven on 300 rows stays in use" in tried[0].outcome
        assert packager.packaged(uri) == again
        assert isinstance(artifacts.load("m", Target("1.0.0", uri)), OnnxRuntime)


def test_a_graph_that_is_gone_is_not_kept(tmp_path: Path) -> None:
    uri = save(tmp_path / "version", logistic(), ABOUT)
    proven = packager.package(uri, ABOUT, rows(), limits=Limits())
    (Path(uri) / proven.path).unlink()
    assert packager.package(uri, ABOUT, [], limits=Limits()).form == "estimator"


def test_what_takes_too_long_is_given_up(tmp_path: Path) -> None:
    uri = save(tmp_path / "version", logistic(), ABOUT)
    made = packager.package(uri, ABOUT, rows(), limits=Limits(seconds=0.2))
    assert (made.form, made.attempts[0].outcome) == ("estimator", "not finished within 0.2 s")
    assert isinstance(artifacts.load("m", Target("1.0.0", uri)), SklearnRuntime)


class Deadly:
    """A model whose code ends the process that loads it."""

    def __reduce__(self) -> Any:
        return os._exit, (77,)


class Curious:
    """A model whose code tells what its process knows, by ending it with so many secrets."""

    def __reduce__(self) -> Any:
        found = "'SERINUS_LEDGER_URL' in os.environ, 'AWS_SECRET' in os.environ"
        return exec, (f"import os; os._exit(40 + sum([{found}]))",)


def test_a_model_learns_no_secret_while_it_is_packaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERINUS_LEDGER_URL", "redis://:secret@host/0")
    monkeypatch.setenv("AWS_SECRET", "secret")
    uri = save(tmp_path / "version", logistic(), ABOUT)
    import pickle

    (Path(uri) / "model.pkl").write_bytes(pickle.dumps(Curious()))
    made = packager.package(uri, ABOUT, rows(), limits=Limits())
    assert "ended with 40:" in made.attempts[0].outcome


def test_a_model_that_kills_the_process_harms_nothing_else(tmp_path: Path) -> None:
    uri = save(tmp_path / "version", logistic(), ABOUT)
    import pickle

    (Path(uri) / "model.pkl").write_bytes(pickle.dumps(Deadly()))
    made = packager.package(uri, ABOUT, rows(), limits=Limits())
    assert made.form == "estimator"
    assert made.attempts[0].outcome == "its process ended with 77: no word"


def test_modules_of_the_working_directory_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = save(tmp_path / "version", logistic(), ABOUT)
    import pickle

    # It is loaded, which takes a fraction of what a conversion does.
    (Path(uri) / "model.pkl").write_bytes(pickle.dumps(Deadly()))
    (tmp_path / "random.py").write_text("raise SystemExit('of somebody else')\n")
    monkeypatch.chdir(tmp_path)
    made = packager.package(uri, ABOUT, rows(), limits=Limits())
    assert made.attempts[0].outcome == "its process ended with 77: no word"


def test_nothing_packaged_is_the_original(tmp_path: Path) -> None:
    uri = save(tmp_path / "version", logistic(), ABOUT)
    assert packager.packaged(uri) == wire.Package(form="estimator")


def test_a_package_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / PACKAGE_FILE).write_bytes(b"{")
    with pytest.raises(InvalidInput) as caught:
        packager.packaged(str(tmp_path))
    assert PACKAGE_FILE in caught.value.where


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is gone"):
        packager.packaged(str(tmp_path / "gone"))


def test_rows_are_sampled_evenly_and_few_are_taken_all() -> None:
    assert packager._sample([(float(place),) for place in range(5)], 10) == [
        (float(place),) for place in range(5)
    ]
    taken = packager._sample([(float(place),) for place in range(1_000)], 10)
    assert [row[0] for row in taken] == [100.0 * place for place in range(10)]


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    uri = save(tmp_path / "version", logistic(), ABOUT)
    made = packager.package(uri, ABOUT, [], limits=Limits())
    told = msgspec.json.decode((Path(uri) / PACKAGE_FILE).read_bytes())
    assert told["form"] == made.form == "estimator"
    assert "0 different rows" in told["attempts"][0]["outcome"]
