"""The only reader of the environment: settings with their origins, checked at start.

Precedence, strongest first: environment, ``serinus.toml`` in the state folder, default.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec

from serinus.errors import InvalidInput

FILE_NAME = "serinus.toml"


def _setting(default: Any, doc: str, *, env: str = "", **bounds: float) -> Any:
    return field(default=default, metadata={"doc": doc, "env": env, "bounds": bounds})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every knob of an installation. Each can be set as ``SERINUS_<NAME>`` or in the file."""

    home: Path = _setting(Path(".serinus"), "folder of all state", env="MLOPS_BASE_PATH")
    database_url: str = _setting("", "database; empty is SQLite in home")
    mlflow_tracking_uri: str = _setting(
        "", "MLflow tracking; empty is SQLite in home", env="MLFLOW_TRACKING_URI"
    )
    host: str = _setting("127.0.0.1", "address that servers listen on")
    control_port: int = _setting(8090, "port of API and dashboard", ge=0, le=65535)
    gateway_port: int = _setting(8080, "port of the gateway", ge=0, le=65535)
    mlflow_port: int = _setting(5000, "port of the MLflow UI, if started", ge=0, le=65535)
    gateway_workers: int = _setting(1, "gateway processes sharing the port", ge=1, le=64)
    request_max_bytes: int = _setting(1_000_000, "largest body of a request", ge=1)
    request_max_rows: int = _setting(1_000, "most rows in one batch request", ge=1)
    request_timeout_seconds: float = _setting(10.0, "deadline of one request", gt=0)
    ledger_sync: Literal["os", "disk"] = _setting(
        "os", "answer once the ledger is with the kernel (os) or on the disk (disk)"
    )
    ledger_segment_bytes: int = _setting(64_000_000, "size at which a segment ends", ge=1_000)
    controller_interval_seconds: float = _setting(0.1, "pause between controller passes", gt=0)
    worker_status_seconds: float = _setting(2.0, "pause between gateway status events", gt=0)
    job_lease_seconds: float = _setting(30.0, "a job whose worker is silent so long is freed", gt=0)
    max_concurrent_training_jobs: int = _setting(
        1, "training jobs at a time", env="MAX_CONCURRENT_TRAINING_JOBS", ge=1
    )
    min_training_data_points: int = _setting(
        300, "labelled rows that a retraining waits for", env="MIN_TRAINING_DATA_POINTS", ge=2
    )
    monitoring_window_seconds: float = _setting(3600.0, "shortest monitoring window", ge=0)
    monitoring_window_rows: int = _setting(500, "fewest rows of a monitoring window", ge=20)
    drift_false_alarm_windows: float = _setting(
        8760.0, "windows between false drift alarms, on average at least", gt=1
    )
    retrain_cooldown_seconds: float = _setting(86_400.0, "rest between retrainings", ge=0)
    retrain_automatically: bool = _setting(True, "whether a drift alarm may retrain by itself")
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "least log level")

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
    def ledger(self) -> Path:
        """The folder of the ledger's segments."""
        return self.home / "ledger"

    @property
    def routing_table(self) -> Path:
        """The file that carries the routing table to the gateways of this machine."""
        return self.home / "routing.json"

    @property
    def control_url(self) -> str:
        """Where the control plane answers."""
        return f"http://{self.host}:{self.control_port}"

    @property
    def gateway_url(self) -> str:
        """Where the gateway answers."""
        return f"http://{self.host}:{self.gateway_port}"


@dataclass(frozen=True)
class Origin:
    """Where one setting's value came from, for ``serinus config show``."""

    name: str
    value: Any
    origin: str
    doc: str


def load(
    environment: Mapping[str, str] | None = None, **given: Any
) -> tuple[Settings, list[Origin]]:
    """Settings from environment, file and defaults, with the origin of each.

    Args:
        environment: what to read instead of the process's environment.
        **given: values that the caller was told directly (command-line options); None is absent.

    Raises:
        InvalidInput: listing every value that cannot be used, and every unknown name.
    """
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in given.items() if value is not None}
    home = Path(given.get("home") or _from_environment("home", environment)[0] or ".serinus")
    from_file = _read_file(home / FILE_NAME)
    known = {item.name: item for item in fields(Settings)}
    faults = [f"{FILE_NAME}: unknown setting {name!r}" for name in from_file if name not in known]
    faults += [
        f"unknown variable {name}"
        for name in environment
        if name.startswith("SERINUS_") and name.removeprefix("SERINUS_").lower() not in known
    ]
    values: dict[str, Any] = {}
    origins: list[Origin] = []
    for name, item in known.items():
        text, variable = _from_environment(name, environment)
        if name in given:
            raw, origin = given[name], "option"
        elif text is not None:
            raw, origin = text, f"environment {variable}"
        elif name in from_file:
            raw, origin = from_file[name], str(home / FILE_NAME)
        else:
            raw, origin = item.default, "default"
        try:
            values[name] = _convert(item, raw)
        except msgspec.ValidationError as error:
            faults.append(f"{name} = {raw!r} ({origin}): {error}")
        origins.append(Origin(name, values.get(name, raw), origin, item.metadata["doc"]))
    if faults:
        raise InvalidInput(
            "the configuration cannot be used",
            faults=faults,
            remedy="Correct these; `serinus config show` lists every setting.",
        )
    return Settings(**values), origins


def _from_environment(name: str, environment: Mapping[str, str]) -> tuple[str | None, str]:
    alias = Settings.__dataclass_fields__[name].metadata["env"]
    for variable in (f"SERINUS_{name.upper()}", alias):
        if variable and variable in environment:
            return environment[variable], variable
    return None, ""


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InvalidInput(
            f"the file cannot be read ({error})", where=str(path), remedy="Correct or remove it."
        ) from error


def _convert(item: Field[Any], raw: Any) -> Any:
    if item.name == "home":
        return Path(raw)
    kind = get_type_hints(Settings)[item.name]
    bounds = item.metadata["bounds"]
    checked = Annotated[kind, msgspec.Meta(**bounds)] if bounds else kind
    return msgspec.convert(raw, checked, strict=False)
