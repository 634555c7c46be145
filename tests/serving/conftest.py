"""Model folders, made once, and gateways in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.serving import samples, scripted
from tests.serving.running import Gateway

from serinus import wire


@pytest.fixture(autouse=True)
def _lanes_end() -> Iterator[None]:
    yield
    scripted.close_lanes()


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Addresses of saved models by name."""
    home = tmp_path_factory.mktemp("models")
    mood, numbers = samples.manifest(), samples.number_manifest()
    fewer = samples.manifest(inputs=samples.INPUTS[:2][::-1], example={"age": 40.0, "mood": 0.0})
    made = {
        "good": (samples.obedient(), mood),
        "yes": (samples.obedient(answer="yes"), mood),
        "no": (samples.obedient(answer="no"), mood),
        "raising": (samples.obedient(always_raises=True), mood),
        "slow": (samples.obedient(seconds=0.06), mood),
        "fewer": (samples.obedient(answer="yes"), fewer),
        "numbers": (samples.logistic(), numbers),
        "numbers-2": (samples.logistic(4), numbers),
        "linear": (
            samples.linear(),
            samples.number_manifest("line", task="regression", classes=()),
        ),
    }
    return {name: samples.save(home / name, *parts) for name, parts in made.items()}


@pytest.fixture
def gateway(tmp_path: Path, free_port: Callable[[], int]) -> Callable[..., Gateway]:
    """Makes a gateway that is not started yet."""

    def make(**options: object) -> Gateway:
        return Gateway(tmp_path / "home", free_port(), **options)  # type: ignore[arg-type]

    return make


def route(
    folders: dict[str, str], champion: str, challenger: str = "", **more: object
) -> wire.Route:
    """A route of the model that its folders are of; versions are called as their folders."""
    return wire.Route(
        model="numbers" if champion.startswith("numbers") else "mood",
        champion=wire.Target(champion, folders[champion]),
        challenger=wire.Target(challenger, folders[challenger]) if challenger else None,
        **more,  # type: ignore[arg-type]
    )
