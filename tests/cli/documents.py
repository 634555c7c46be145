"""A canary's status as the control plane tells it, and what it becomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import log

import msgspec
from rich.console import Console, RenderableType

from serinus.client import types
from serinus.delivery.planning.plan import Basis, make_plan, quality_scale
from serinus.delivery.types import DeploymentSpec

NOW = datetime(2026, 1, 31, 14, 13, tzinfo=UTC)
IDENTITY = "20260131-120000-123456-abcd"


def rail(kind: str, state: str, log_harm: float, log_safe: float | None) -> types.Assessment:
    """A guardrail that asks for 100 to 1 of harm and 40 to 1 of safety."""
    seen = 0 if state == "no_data" else 16_456
    return types.Assessment(
        kind, state, seen, seen // 4, 0.001, 0.0008, log_harm, log(100), log_safe, log(40), "",
        f"{kind}: in words.",
    )  # fmt: skip


def deployment(**changes: object) -> types.Deployment:
    """The second live step of a canary, two hours old."""
    spec = DeploymentSpec(model="fraud", challenger="1.1.0")
    plan = make_plan(spec, Basis(quality_scale("classification", {"accuracy": 0.9})), salt="")
    public = msgspec.convert(spec, types.Spec, from_attributes=True)
    steps = msgspec.convert(plan, types.Plan, from_attributes=True)
    made = types.Deployment(
        IDENTITY, "fraud", "1.0.0", "1.1.0", "canary", public, steps, "hash", "running", 2,
        NOW - timedelta(minutes=9), "continue", "5 % was passed.", "ann",
        NOW - timedelta(hours=2, minutes=13), NOW, None,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def status(**changes: object) -> types.DeploymentStatus:
    """Its status, with everything that there can be."""
    rails = (
        rail("errors", "open", log(3.2), log(22)),
        rail("service_level", "no_data", 0.0, None),
        rail("latency", "safe", -0.3, log(55)),
        rail("sample_ratio", "open", -1.3, None),
        rail("shadow_quality", "open", 0.3, None),
    )
    counts = types.Counts(
        requests={"champion": 12_345, "challenger": 4_111, "shadow": 1_300},
        failures={"champion": 12, "challenger": 3, "shadow": 0},
        labelled={"champion": 3_000, "challenger": 1_011, "shadow": 1_200},
        told={"labels": 5_211, "values": 0},
        share=0.25,
        mirror=0.0,
        revision=17,
        workers=[
            types.WorkerView("w1", 17, ("fraud@1.1.0",), {}, {"fraud@1.1.0": "open"}),
            types.WorkerView("w2", 16, (), {"fraud@1.1.0": "no such file"}),
        ],
        rates={"champion": 8.1, "challenger": 2.7, "shadow": 0.0},
    )
    moves = (
        move("pending", "pending", 0, 133, "ann", "The gateways are loading."),
        move("pending", "running", 0, 130, "controller", "It is loaded and warm."),
        move("running", "running", 2, 9, "controller", "5 % was passed with 41 to 1."),
    )
    made = types.DeploymentStatus(
        deployment=deployment(),
        counts=counts,
        verdict=types.Verdict("continue", "Errors are undecided at 22 to 1.", 16_456, 0.05, rails),
        ahead=types.Ahead("errors", "Errors decides last: about 1,200 more requests.", 1_200, 222),
        latest=moves,
        rollback=types.Setback(
            "r1", "fraud", "1.0.1", "1.0.0", "errors", "not_the_model", "controller", "why",
            NOW - timedelta(days=1), NOW,
        ),
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def move(was: str, to: str, step: int, minutes: int, actor: str, reason: str) -> types.Transition:
    """A transition some minutes ago."""
    at = NOW - timedelta(minutes=minutes)
    return types.Transition(was, to, step, at, actor, "continue", reason)


def drawn(item: RenderableType, width: int) -> list[str]:
    """The lines of it on a terminal without colours."""
    console = Console(width=width, force_terminal=True, no_color=True, color_system=None)
    with console.capture() as captured:
        console.print(item)
    return [line.rstrip() for line in captured.get().splitlines()]
