"""The only reader of the environment: settings with their origins, checked at start.

Precedence, strongest first: what the caller was told (an option of the command line), the
environment, ``serinus.toml`` in the state folder, the default. An empty variable counts as none.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from serinus.errors import InvalidInput

FILE_NAME = "serinus.toml"
_PREFIX = "SERINUS_"


_LOCAL = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # listening on all, reached on one
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
_HOST_NAME = re.compile(r"\*|(\*\.)?[\w-]+(\.[\w-]+)*\.?", re.ASCII)
_HIDDEN_PASSWORD = re.compile(r"((?<=://)[^:/@\s]*:)[^@/\s]+(?=@)|([?&]password=)[^&\s]+")


def _setting(default: Any, doc: str, *, env: str = "", unit: float = 1, **bounds: float) -> Any:
    # ``unit`` is how many of the setting's units one unit of the variable ``env`` stands for.
    return field(default=default, metadata={"doc": doc, "env": env, "unit": unit, "bounds": bounds})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every knob of an installation. Each can be set as ``SERINUS_<NAME>`` or in the file."""

    home: Path = _setting(Path(".serinus"), "Folder of all state.", env="MLOPS_BASE_PATH")
    database_url: str = _setting(
        "", "Database of the control plane. Empty: SQLite in `home`; else a PostgreSQL address."
    )
    mlflow_tracking_uri: str = _setting(
        "", "MLflow tracking store. Empty: SQLite in `home`.", env="MLFLOW_TRACKING_URI"
    )
    host: str = _setting("127.0.0.1", "Address that the servers listen on.")
    allowed_hosts: str = _setting(
        "",
        "Names by which the API and the dashboard may be asked, with commas between, beside "
        "`localhost`, IP addresses, `host` and the machine's own name; `*.example.org` is every "
        "name below `example.org`, `*` any name at all, which lets pages of others in.",
    )
    control_port: int = _setting(
        8090, "Port of the API and the dashboard; 0 is any free one.", ge=0, le=65535
    )
    gateway_port: int = _setting(8080, "Port of the gateway; 0 is any free one.", ge=0, le=65535)
    mlflow_port: int = _setting(5000, "Port of the MLflow UI, if it is started.", ge=0, le=65535)
    grpc_port: int = _setting(
        0, "Port of the gateway's gRPC; 0 is none. Needs the extra `grpc`.", ge=0, le=65535
    )
    gateway_workers: int = _setting(1, "Gateway processes that share the port.", ge=1, le=64)
    gateway_workers_max: int = _setting(
        0,
        "Most gateway processes while all are busy; 0 leaves it at `gateway_workers`.",
        ge=0,
        le=64,
    )
    request_max_bytes: int = _setting(1_000_000, "Largest body of a request.", ge=1)
    request_max_rows: int = _setting(1_000, "Most rows in one batch request.", ge=1)
    request_timeout_seconds: float = _setting(10.0, "Deadline of one request.", gt=0)
    ledger_url: str = _setting(
        "",
        "Where the ledger is. Empty: files in `home`; else a Redis or Valkey server, such as "
        "`redis://:password@host:6379/0`, for gateways on several hosts.",
    )
    waiting_max_rows: int = _setting(
        8_192, "Rows that may wait for one version; what comes then is answered 429.", ge=1
    )
    model_memory_bytes: int = _setting(
        0,
        "Size that the loaded versions of one worker may have together; those not asked the "
        "longest are unloaded until they are asked again. 0 is no limit.",
        ge=0,
    )
    process_memory_bytes: int = _setting(
        0,
        "Memory that the process of a version which has one may take; beyond, it is replaced, or "
        "killed if a call is under way. 0: any.",
        ge=0,
    )
    remembered_rows: int = _setting(
        0, "Answers that a worker remembers of each version, by the row. 0 remembers none.", ge=0
    )
    hooks: str = _setting(
        "", "Module of yours with `before(model, features)` and `after(model, answer)`, or either."
    )
    model_types: str = _setting(
        "", "TOML file of model types of yours, beside and above the shipped ones."
    )
    ledger_full: Literal["refuse", "answer"] = _setting(
        "refuse",
        "What becomes of predictions while the ledger takes no events: refused with 503, or "
        "answered and lost to every evidence.",
    )
    ledger_sync: Literal["os", "disk"] = _setting(
        "os",
        "When an answer may leave: once its event is with the kernel (`os`: survives the death of "
        "any process) or on the disk (`disk`: survives a power cut, slower).",
    )
    ledger_segment_bytes: int = _setting(
        64_000_000, "Size at which a file of the ledger ends and the next begins.", ge=1_000
    )
    ledger_retention_days: float = _setting(
        30.0,
        "How long the ledger's files are kept after their last event, if they are archived and "
        "nobody needs them; 0 is for ever. What goes is still in the archive.",
        ge=0,
    )
    archive_retention_days: float = _setting(
        0.0,
        "How long the archive is kept; 0 is for ever. What goes can be neither asked for, nor "
        "labelled, nor replayed any more.",
        ge=0,
    )
    controller_interval_seconds: float = _setting(0.1, "Pause between controller passes.", gt=0)
    auto_rollback: Literal["off", "propose", "act"] = _setting(
        "propose",
        "What becomes of a champion that leaves its own earlier range with no deployment under "
        "way: nothing, a rollback for a person to ask for, or the rollback itself.",
    )
    controller_lease_seconds: float = _setting(
        3.0, "After so long without a sign of the controller that leads another one does.", gt=0
    )
    ab_test_min_duration_hours: float = _setting(
        24.0,
        "Shortest time of an A/B test that says none itself.",
        env="AB_TEST_MIN_DURATION_HOURS",
        gt=0,
    )
    ab_test_confidence_level: float = _setting(
        0.95,
        "Confidence of an A/B test that says none itself.",
        env="AB_TEST_CONFIDENCE_LEVEL",
        ge=0.5,
        lt=1,
    )
    worker_status_seconds: float = _setting(
        2.0, "Pause between the status events of a gateway worker.", gt=0
    )
    packaging_seconds: float = _setting(
        120.0,
        "Time for converting a new version to ONNX and proving it equal; 0 converts nothing.",
        ge=0,
    )
    job_lease_seconds: float = _setting(
        30.0, "A job whose worker has been silent so long is free for another.", gt=0
    )
    max_concurrent_training_jobs: int = _setting(
        1, "Training jobs at a time.", env="MAX_CONCURRENT_TRAINING_JOBS", ge=1
    )
    min_training_data_points: int = _setting(
        300, "Labelled rows that a retraining waits for.", env="MIN_TRAINING_DATA_POINTS", ge=2
    )
    monitoring_window_seconds: float = _setting(
        3600.0,
        "Shortest monitoring window.",
        env="MONITORING_WINDOW_HOURS",
        unit=3600,
        ge=0,
    )
    monitoring_window_rows: int = _setting(500, "Fewest rows of a monitoring window.", ge=20)
    profile_days: float = _setting(
        30.0, "Days for which profiles by version and minute are kept.", gt=0
    )
    drift_false_alarm_windows: float = _setting(
        8760.0, "Windows between two false drift alarms, on average at least.", gt=1
    )
    failing_limit: float = _setting(
        0.05,
        "Share of failing requests above which a version in production is reported.",
        gt=0,
        le=0.9,
    )
    retrain_cooldown_seconds: float = _setting(86_400.0, "Rest between two retrainings.", ge=0)
    retrain_automatically: bool = _setting(
        default=True, doc="Whether a drift alarm may start a retraining by itself."
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "Least log level.")

    def __post_init__(self) -> None:
        object.__setattr__(self, "home", Path(self.home).expanduser().absolute())

    @property
    def database(self) -> str:
        """The database address in force."""
        return self.database_url or f"sqlite:///{self.home / 'serinus.db'}"

    @property
    def tracking(self) -> str:
        """The MLflow tracking address in force."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """The folder of model artifacts."""
        return self.home / "artifacts"

    @property
    def ledger(self) -> Path | str:
        """The folder of the ledger's segments, or the address of the server that has it."""
        return self.ledger_url or self.home / "ledger"

    @property
    def archive(self) -> Path:
        """The folder of what became of the ledger's finished segments."""
        return self.home / "archive"

    @property
    def environments(self) -> Path:
        """The folder of environments that versions have of their own."""
        return self.home / "environments"

    @property
    def routing_table(self) -> Path:
        """The file that carries the routing table to the gateways of this machine."""
        return self.home / "routing.json"

    @property
    def control_url(self) -> str:
        """Where the control plane answers."""
        return f"http://{_LOCAL.get(self.host, self.host)}:{self.control_port}"

    @property
    def gateway_url(self) -> str:
        """Where the gateway answers."""
        return f"http://{_LOCAL.get(self.host, self.host)}:{self.gateway_port}"


@dataclass(frozen=True)
class Origin:
    """Where one setting's value came from, for ``serinus config show``; passwords are hidden."""

    name: str
    value: Any
    origin: str
    doc: str


def load(
    environment: Mapping[str, str] | None = None, **given: Any
) -> tuple[Settings, list[Origin]]:
    """Settings from options, environment, file and defaults, with the origin of each.

    Args:
        environment: what to read instead of the process's environment.
        **given: values that the caller was told directly (command-line options); None is absent.

    Raises:
        InvalidInput: listing every value that cannot be used, and every unknown name.
    """
    read = os.environ if environment is None else environment
    environment = {name: text for name, text in read.items() if text.strip()}
    given = {name: value for name, value in given.items() if value is not None}
    place = Path(given.get("home") or _from_environment("home", environment)[0] or ".serinus")
    path = place.expanduser() / FILE_NAME
    from_file = _read_file(path)
    faults = [*_unknown(given, "option"), *_unknown(from_file, str(path))]
    faults += _unknown_variables(environment)
    if "home" in from_file:
        faults.append(f"{path}: home cannot be set in the file that lies in it")
    values: dict[str, Any] = {}
    origins: list[Origin] = []
    for item in fields(Settings):
        raw, origin = _find(item, given, environment, from_file, str(path))
        try:
            values[item.name] = _convert(item, raw, origin)
        except msgspec.ValidationError as error:
            fault = f"{item.name} = {_shown(raw)!r} ({origin}): {error}"
            faults.append(f"{fault}{_choices(item)}")
        shown = _shown(values.get(item.name, raw))
        origins.append(Origin(item.name, shown, origin, item.metadata["doc"]))
    faults += _unusable_hosts(values.get("allowed_hosts", ""))
    if 0 < values.get("control_port", 0) == values.get("gateway_port", 0):
        faults.append("control_port and gateway_port are the same")
    if faults:
        raise InvalidInput(
            "the configuration cannot be used",
            faults=faults,
            remedy="Correct these; docs/reference/settings.md lists every setting.",
        )
    return Settings(**values), origins


def prepare_environment() -> None:
    """Keep libraries from calling home or looking for programs; before they are imported."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


def bare_environment() -> dict[str, str]:
    """The process's environment without what sets a setting.

    It is for an installation that is to have settings of its own: a demonstration or a proof that
    wrote into the database or the MLflow of whoever began it would harm them.
    """
    names = {_PREFIX + item.name.upper() for item in fields(Settings)}
    names |= {item.metadata["env"] for item in fields(Settings)}
    return {name: text for name, text in os.environ.items() if name not in names}


def forget_environment() -> None:
    """Take out of the process's environment what sets a setting (see :func:`bare_environment`)."""
    for name in set(os.environ) - set(bare_environment()):
        del os.environ[name]


def _find(
    item: Field[Any],
    given: Mapping[str, Any],
    environment: Mapping[str, str],
    from_file: Mapping[str, Any],
    path: str,
) -> tuple[Any, str]:
    """The raw value of a setting and where it came from."""
    if item.name in given:
        return given[item.name], "option"
    text, variable = _from_environment(item.name, environment)
    if text is not None:
        return text, f"environment {variable}"
    if item.name in from_file:
        return from_file[item.name], path
    return item.default, "default"


def _from_environment(name: str, environment: Mapping[str, str]) -> tuple[str | None, str]:
    alias = Settings.__dataclass_fields__[name].metadata["env"]
    for variable in (_PREFIX + name.upper(), alias):
        if variable and variable in environment:
            return environment[variable], variable
    return None, ""


def _unknown(names: Iterable[str], where: str) -> list[str]:
    known = [item.name for item in fields(Settings)]
    return [
        f"{where}: unknown setting {name!r}{_suggestion(name, known)}"
        for name in names
        if name not in known
    ]


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    known = [item.name for item in fields(Settings)]
    return [
        f"environment: unknown variable {name}{_suggestion(plain, known, _PREFIX)}"
        for name in environment
        if name.startswith(_PREFIX) and (plain := name.removeprefix(_PREFIX).lower()) not in known
    ]


def _unusable_hosts(names: str) -> list[str]:
    return [
        f"allowed_hosts: {name!r} is no name of a host, without scheme and port"
        for name in map(str.strip, names.split(","))
        if name and not _HOST_NAME.fullmatch(name)
    ]


def _suggestion(name: str, known: list[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if not near:
        return ""
    return f" (did you mean {prefix + near[0].upper() if prefix else near[0]}?)"


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InvalidInput(
            f"the file cannot be read ({error})", where=str(path), remedy="Correct or remove it."
        ) from error


def _convert(item: Field[Any], raw: Any, origin: str) -> Any:
    """The value of a setting, of its type, in its unit, within its bounds."""
    if item.name == "home":
        return Path(msgspec.convert(str(raw) if isinstance(raw, Path) else raw, str))
    kind = get_type_hints(Settings)[item.name]
    if origin == f"environment {item.metadata['env']}" and item.metadata["unit"] != 1:
        raw = msgspec.convert(raw, float, strict=False) * item.metadata["unit"]
    bounds = item.metadata["bounds"]
    value = msgspec.convert(
        raw, Annotated[kind, msgspec.Meta(**bounds)] if bounds else kind, strict=False
    )
    if isinstance(value, float) and not math.isfinite(value):
        raise msgspec.ValidationError("Expected a finite number")
    return value


def _choices(item: Field[Any]) -> str:
    """In words what a setting may be, if that is a list."""
    kind = get_type_hints(Settings)[item.name]
    return f"; choose from {', '.join(get_args(kind))}" if get_origin(kind) is Literal else ""


def _shown(value: Any) -> Any:
    return _HIDDEN_PASSWORD.sub(r"\1\2***", value) if isinstance(value, str) else value
