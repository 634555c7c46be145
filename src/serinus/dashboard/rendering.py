"""Templates and the few words that they share."""

from __future__ import annotations

from datetime import datetime
from math import exp, log
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from serinus.client.types import step_name
from serinus.dashboard.figures import TITLES


def render(template: str, **values: Any) -> str:
    """A template's text with these values."""
    return _environment.get_template(template).render(**values)


def odds(log_e: float | None) -> str:
    """An e-value in words that fit a table: ``12.3 : 1``."""
    if log_e is None:
        return "–"
    if log_e > log(1e6):
        return "> 1,000,000 : 1"
    if log_e < 0:
        return "< 1 : 1"
    number = exp(log_e)
    return f"{number:,.0f} : 1" if number >= 100 else f"{number:.3g} : 1"


def filled(log_e: float | None, bound: float) -> int:
    """How much of the way to its bound an e-value has come, in percent from 0 to 100."""
    if log_e is None or bound <= 0:
        return 0
    return round(100 * min(max(log_e / bound, 0.0), 1.0))


def rate(value: float | None) -> str:
    """A rate in percent."""
    return "–" if value is None else f"{100 * value:.2f} %"


def number(value: object) -> str:
    """A figure with four digits, a whole number with its commas."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def when(moment: datetime | None) -> str:
    """A time in UTC, to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "–"


def lasting(seconds: float) -> str:
    """A stretch of time as one says it: ``40 s``, ``12 min``, ``5 h``, ``3 days``."""
    for unit, name, most in ((1, "s", 90), (60, "min", 90), (3_600, "h", 36)):
        if round(seconds / unit) < most:
            return f"{round(seconds / unit)} {name}"
    return f"{round(seconds / 86_400)} days"


def words(name: str) -> str:
    """A name of ours as a reader says it."""
    return name.replace("_", " ")


_environment = Environment(
    loader=PackageLoader("serinus.dashboard"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(
    odds=odds, filled=filled, lasting=lasting, rate=rate, number=number, when=when, words=words
)
_environment.globals.update(step_name=step_name, rail_titles=TITLES)
