"""Environments for versions that need other packages than this process has.

Made from what an MLflow model says of itself (``requirements.txt``, ``python_env.yaml``), once for
all versions that say the same, under ``home/environments/<digest>``. A folder counts once its
``environment.json`` is there, which is written last; one builder at a time holds its lock, and so
does the installer that it started: if the builder is killed, the next waits for the orphan, clears
the ruin and begins anew.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import msgspec
import yaml

from serinus import clock
from serinus.errors import InvalidInput, Unavailable
from serinus.registry.needs import Wanted, leanest, wanted

FOLDER = "environments"
BUILD_SECONDS = 1_800.0
RECENT_SECONDS = 3_600.0
_RECORD = "environment.json"
_PAUSE_SECONDS = 0.1
_LAST_LINES = 15

Tell: TypeAlias = Callable[[str], None]
Prove: TypeAlias = Callable[[str], None]
"""Tries a model out with the interpreter that it is given; raises InvalidInput if that fails."""


class Environment(msgspec.Struct, frozen=True):
    """An environment that is finished.

    Args:
        folder: where it is.
        version: of its Python.
        requirements: what was asked for.
        bytes: of its files.
        seconds: that it took to make.
    """

    folder: str
    version: str
    requirements: tuple[str, ...]
    bytes: int = 0
    seconds: float = 0.0

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(interpreter(Path(self.folder)))


def interpreter(folder: Path) -> Path:
    """Where the interpreter of an environment is."""
    return folder / "bin" / "python"


# ------------------------------------------------------------------ making one


def prepare(folder: Path, home: Path, tell: Tell, prove: Prove) -> Environment:
    """An environment in which the MLflow model in ``folder`` answers, made unless it exists.

    Args:
        folder: with ``MLmodel``.
        home: the state folder.
        tell: is told the progress in words.
        prove: tries the model out with an interpreter.

    Raises:
        InvalidInput: the model does not say what it needs, its packages cannot be installed, or
            it does not answer with them; with the installer's or the model's last lines.
        Unavailable: another process has been making the same environment for too long.
    """
    model = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    tried = leanest(wanted(folder), model)
    while True:
        made = ensure(tried.pop(0), home, tell)
        tell("Proving that the model answers in it")
        try:
            prove(made.python)
        except InvalidInput as error:
            if not tried or not _lacks_a_module(error):
                raise
            tell(f"It needs more of MLflow: {error.what}")
        else:
            return made


def _lacks_a_module(error: InvalidInput) -> bool:
    return any("No module named" in line for line in (error.what, *error.faults))


def ensure(asked: Wanted, home: Path, tell: Tell) -> Environment:
    """The environment of ``asked``, made unless it exists.

    Raises:
        InvalidInput: it cannot be made; with the installer's last lines.
        Unavailable: another process has been making it for too long.
    """
    place = home.absolute() / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    folder = place / asked.digest
    with _locked(place / f"{asked.digest}.lock", tell) as lock:
        found = _read(folder)
        if found is not None:
            (folder / _RECORD).touch()  # It is about to be used: too young to be pruned.
            tell(f"Environment {asked.digest} is there ({found.bytes / 1e6:.0f} MB)")
            return found
        shutil.rmtree(folder, ignore_errors=True)
        begun = clock.monotonic()
        try:
            _build(asked, folder, tell, lock)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        made = Environment(
            folder=str(folder),
            version=_version(folder),
            requirements=asked.requirements,
            bytes=sum(path.lstat().st_size for path in folder.rglob("*")),
            seconds=round(clock.monotonic() - begun, 3),
        )
        _write(folder, made)
    tell(f"Environment {asked.digest}: {made.bytes / 1e6:.0f} MB in {made.seconds:.1f} s")
    return made


def _build(asked: Wanted, folder: Path, tell: Tell, lock: int) -> None:
    folder.mkdir()
    files = {"requirements.txt": asked.requirements, "constraints.txt": asked.constraints}
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = ["-r", str(folder / "requirements.txt"), "-c", str(folder / "constraints.txt")]
    is_same = platform.python_version().startswith(f"{asked.python}.")
    python = sys.executable if is_same else f"python{asked.python}"
    made = str(interpreter(folder))
    uv = installer()
    if uv:
        begin = [uv, "venv", "--allow-existing", "--no-project", "--python", python, str(folder)]
        install = [uv, "pip", "install", "--python", made, *options]
    else:
        begin = [_found(python), "-m", "venv", str(folder)]
        pip = [made, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        install = [*pip, *options]
    count = len(asked.requirements)
    tell(f"Making environment {asked.digest}: Python {asked.python}, {count} requirements")
    for command in (begin, install):
        last = run(command, tell, BUILD_SECONDS, keep=lock)
        if last is not None:
            raise InvalidInput(
                "the environment cannot be made",
                where=" ".join(command[:3]),
                remedy="Correct the model's requirements, or the access to the package index.",
                faults=last,
            )


def installer() -> str:
    """The command ``uv``, beside this interpreter or on the path; empty if there is none."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv") or ""


def run(
    command: list[str], tell: Tell, seconds: float, *, keep: int | None = None
) -> list[str] | None:
    """Run a command, telling its lines; its last lines if it failed.

    Args:
        command: program and arguments.
        tell: is told each line.
        seconds: after which it is killed.
        keep: a descriptor that it holds as long as it runs.
    """
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=() if keep is None else (keep,),
    ) as process:
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.strip():
                    last.append(line.rstrip())
                    tell(line.rstrip())
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
    if process.returncode == 0:
        return None
    return [*last, f"({Path(command[0]).name} ended with {process.returncode})"]


def _found(python: str) -> str:
    path = shutil.which(python)
    if path is None:
        raise InvalidInput(
            f"the model needs {python}, which is not on this machine",
            remedy=f"Install {python}, or uv, which can bring it.",
        )
    return path


def _version(folder: Path) -> str:
    text = (folder / "pyvenv.cfg").read_text(encoding="utf-8")
    found = re.search(r"^version(?:_info)?\s*=\s*(\S+)", text, re.MULTILINE)
    return found[1] if found else ""


@contextmanager
def _locked(path: Path, tell: Tell, seconds: float = BUILD_SECONDS) -> Iterator[int]:
    """Hold a lock that ends with its holder, and with the installer that the holder started."""
    deadline = clock.monotonic() + seconds
    is_told = False
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if clock.monotonic() > deadline:
                    raise Unavailable(
                        "another process is making the same environment",
                        where=str(path),
                        remedy="Try again when it is done.",
                    ) from error
            if not is_told:
                tell("Another process is making it: waiting")
                is_told = True
            clock.sleep(_PAUSE_SECONDS)
        yield lock.fileno()


def _read(folder: Path) -> Environment | None:
    try:
        found = msgspec.json.decode((folder / _RECORD).read_bytes(), type=Environment)
    except (OSError, msgspec.DecodeError):
        return None
    # A home that was moved: what was made for the old place works there only.
    is_whole = found.folder == str(folder) and interpreter(folder).exists()
    return found if is_whole else None


def _write(folder: Path, made: Environment) -> None:
    part = folder / f"{_RECORD}.part"
    with part.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / _RECORD)


# ------------------------------------------------------------------ those that are there


def listing(home: Path) -> list[Environment]:
    """The finished environments, by folder."""
    found = (_read(path) for path in sorted((home.absolute() / FOLDER).glob("*/")))
    return [environment for environment in found if environment is not None]


def prune(home: Path, used: Collection[str], *, remove: bool) -> list[Environment]:
    """The environments that no version uses; removed only if ``remove``.

    Those that were made or asked for within the last hour are kept: the version that they are for
    may not be recorded yet. Ruins of builders that were killed are removed along.

    Args:
        home: the state folder.
        used: the interpreters that versions name.
        remove: False only tells what would go.
    """
    gone = []
    for folder in sorted((home.absolute() / FOLDER).glob("*/")):
        found = _read(folder)
        if found is not None and (found.python in used or _is_recent(folder / _RECORD)):
            continue
        if remove and not _remove(folder):
            continue
        if found is not None:
            gone.append(found)
    return gone


def _is_recent(path: Path) -> bool:
    return clock.epoch_us() / 1e6 - path.stat().st_mtime < RECENT_SECONDS


def _remove(folder: Path) -> bool:
    """Remove an environment unless somebody is making it right now."""
    try:
        with _locked(folder.with_name(f"{folder.name}.lock"), lambda _: None, seconds=-1.0):
            (folder / _RECORD).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
    except Unavailable:
        return False
    return True


def interpreters(folders: Iterable[Path], package_file: str) -> set[str]:
    """The interpreters that the package files in version folders name."""
    found = set()
    for folder in folders:
        try:
            about = msgspec.json.decode((folder / package_file).read_bytes())
        except (OSError, msgspec.DecodeError):
            continue
        found.add(str(about.get("python", "")))
    return found - {""}
