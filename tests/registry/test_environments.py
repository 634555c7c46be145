import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.serving.runtimes import wild

from serinus.errors import InvalidInput
from serinus.registry import environments
from serinus.registry.needs import Wanted

OLD = "sqlparse==0.4.4"
PYTHON = ".".join(platform.python_version_tuple()[:2])
ASKED = Wanted(PYTHON, (OLD,))
HERE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A state folder with one small environment in it."""
    place = tmp_path_factory.mktemp("home")
    told: list[str] = []
    try:
        environments.ensure(ASKED, place, told.append)
    except InvalidInput as error:
        pytest.skip(f"no package index can be reached: {error.faults[-2:]}")
    return place


def printed(python: str, program: str) -> str:
    return subprocess.run(
        [python, "-I", "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_environment_holds_other_packages_than_this_process(home):
    import sqlparse

    (made,) = environments.listing(home)
    assert printed(made.python, "import sqlparse; print(sqlparse.__version__)") == "0.4.4"
    assert sqlparse.__version__ != "0.4.4"
    assert made.version.startswith(f"{PYTHON}.")
    assert made.requirements == (OLD,)
    assert made.bytes > 100_000


def test_environment_is_made_once(home):
    (before,) = environments.listing(home)
    told: list[str] = []
    assert environments.ensure(ASKED, home, told.append) == before
    assert told == [f"Environment {ASKED.digest} is there ({before.bytes / 1e6:.0f} MB)"]


def test_environment_of_another_home_is_not_used(home, tmp_path):
    (tmp_path / environments.FOLDER).mkdir()
    made = tmp_path / environments.FOLDER / ASKED.digest
    made.symlink_to(home / environments.FOLDER / ASKED.digest)
    assert environments.listing(tmp_path) == []


def test_environment_that_cannot_be_made_shows_why_and_leaves_nothing(home, tmp_path):
    asked = Wanted(PYTHON, (OLD, "sqlparse==0.0.0.1"))
    with pytest.raises(InvalidInput) as caught:
        environments.ensure(asked, tmp_path, lambda _: None)
    assert any("sqlparse" in line for line in caught.value.faults)
    assert environments.listing(tmp_path) == []
    assert not (tmp_path / environments.FOLDER / asked.digest).exists()


def test_environment_without_uv_is_made_by_pip(home, tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "installer", lambda: "")
    told: list[str] = []
    made = environments.ensure(ASKED, tmp_path, told.append)
    assert printed(made.python, "import sqlparse; print(sqlparse.__version__)") == "0.4.4"
    assert any("Successfully installed sqlparse-0.4.4" in line for line in told)


def test_environment_of_a_python_that_is_not_here(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "installer", lambda: "")
    with pytest.raises(InvalidInput, match=r"python2\.1"):
        environments.ensure(Wanted("2.1", (OLD,)), tmp_path, lambda _: None)


def test_installer_is_uv_if_there_is_one(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environments.installer() == ""
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\n")
    uv.chmod(0o755)
    assert environments.installer() == str(uv)


def test_run_tells_lines_and_keeps_the_last():
    told: list[str] = []
    program = "for n in range(99): print(n)\nraise SystemExit(3)"
    last = environments.run([sys.executable, "-c", program], told.append, 30.0)
    assert told == [str(number) for number in range(99)]
    assert last[-2:] == ["98", f"({Path(sys.executable).name} ended with 3)"]
    assert environments.run([sys.executable, "-c", "print(1)"], told.append, 30.0) is None


def test_run_ends_what_takes_too_long():
    begun = time.monotonic()
    last = environments.run([sys.executable, "-c", "import time; time.sleep(60)"], print, 0.3)
    assert last[-1].endswith("ended with -9)")
    assert time.monotonic() - begun < 20


# An installer that takes its time, and then hands over to the real one.
SLOW = """#!/bin/sh
if [ "$1" = pip ]; then touch "{place}/begun"; sleep 1; touch "{place}/ended"; fi
exec "{uv}" "$@"
"""

BUILDER = """
import sys
from pathlib import Path
from serinus.registry import environments
from serinus.registry.needs import Wanted
environments.installer = lambda: sys.argv[2]
environments.ensure(Wanted(sys.argv[3], (sys.argv[4],)), Path(sys.argv[1]), print)
"""


@pytest.fixture
def builder(home, tmp_path):
    """Starts a builder in a process of its own, and waits until its installer is at work."""
    if not environments.installer():
        pytest.skip("uv is not installed")
    script = tmp_path / "uv"
    script.write_text(SLOW.format(place=tmp_path, uv=environments.installer()))
    script.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(tmp_path), str(script), PYTHON, OLD],
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield process
    process.kill()
    process.wait()


def test_builders_of_one_environment_wait_for_each_other(builder, tmp_path):
    told: list[str] = []
    made = environments.ensure(ASKED, tmp_path, told.append)
    assert told[0] == "Another process is making it: waiting"
    assert "is there" in told[1]
    assert builder.wait(10) == 0
    assert environments.listing(tmp_path) == [made]


def test_builder_killed_at_work_leaves_a_ruin_that_the_next_one_clears(builder, tmp_path):
    builder.send_signal(signal.SIGKILL)
    builder.wait()
    assert environments.listing(tmp_path) == []
    told: list[str] = []
    made = environments.ensure(ASKED, tmp_path, told.append)
    # The installer outlived its builder, and nobody worked beside it in the same folder.
    assert told[0] == "Another process is making it: waiting"
    assert (tmp_path / "ended").exists()
    assert told[1].startswith("Making environment")
    assert printed(made.python, "import sqlparse; print(sqlparse.__version__)") == "0.4.4"


def test_prune_takes_what_nobody_uses_and_tells_first(home, tmp_path):
    made = environments.ensure(ASKED, tmp_path, lambda _: None)
    record = Path(made.folder, "environment.json")
    assert environments.prune(tmp_path, [], remove=True) == []
    os.utime(record, (0, 0))
    assert environments.prune(tmp_path, [made.python], remove=True) == []
    assert environments.prune(tmp_path, [], remove=False) == [made]
    assert environments.listing(tmp_path) == [made]
    assert environments.prune(tmp_path, [], remove=True) == [made]
    assert not Path(made.folder).exists()


def test_prune_spares_what_is_asked_for_again(home, tmp_path):
    made = environments.ensure(ASKED, tmp_path, lambda _: None)
    os.utime(Path(made.folder, "environment.json"), (0, 0))
    environments.ensure(ASKED, tmp_path, lambda _: None)
    assert environments.prune(tmp_path, [], remove=True) == []


def test_prune_clears_ruins_but_not_work(builder, tmp_path):
    ruin = tmp_path / environments.FOLDER / "0123456789abcdef"
    ruin.mkdir()
    assert environments.prune(tmp_path, [], remove=True) == []
    assert not ruin.exists()
    assert builder.wait(20) == 0
    assert len(environments.listing(tmp_path)) == 1


def test_interpreters_are_those_that_package_files_name(tmp_path):
    for name, about in (("a", {"python": "/x/python"}), ("b", {"python": ""}), ("c", {})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "p.json").write_text(json.dumps(about))
    folders = [tmp_path / name for name in "abcd"]
    assert environments.interpreters(folders, "p.json") == {"/x/python"}


def estimator_folder(tmp_path, *lines: str):
    folder = wild.save(tmp_path / "m", wild.wild(), wild.REGRESSION)
    (folder / "requirements.txt").write_text("\n".join(lines))
    return folder


def test_prepare_takes_the_leanest_environment_that_does(home, tmp_path, monkeypatch):
    folder = estimator_folder(tmp_path, OLD)
    lean, whole = ASKED, Wanted(PYTHON, (OLD, "six"))
    monkeypatch.setattr(environments, "leanest", lambda asked, _: [lean, whole])
    told: list[str] = []

    def prove(python: str) -> None:
        told.append(python)
        if "'six'" not in printed(
            python, "import pkgutil; print([m.name for m in pkgutil.iter_modules()])"
        ):
            raise InvalidInput("it failed", faults=["ModuleNotFoundError: No module named 'six'"])

    made = environments.prepare(folder, tmp_path, told.append, prove)
    assert made.requirements == whole.requirements
    assert "It needs more of MLflow: it failed" in told
    assert told[-1] == made.python


@pytest.mark.parametrize(("why", "count"), [("No module named 'x'", 2), ("it is broken", 1)])
def test_prepare_gives_up_where_more_packages_do_not_help(home, tmp_path, monkeypatch, why, count):
    folder = estimator_folder(tmp_path, OLD)
    monkeypatch.setattr(environments, "leanest", lambda asked, _: [asked, ASKED])
    tried: list[str] = []

    def prove(python: str) -> None:
        tried.append(python)
        raise InvalidInput(why)

    with pytest.raises(InvalidInput, match=why):
        environments.prepare(folder, tmp_path, lambda _: None, prove)
    assert len(tried) == count
