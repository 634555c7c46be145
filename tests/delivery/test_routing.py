"""The routing table: made from who is champion and what is live, and never set back."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine
from tests.delivery.samples import deployment

from serinus.delivery import routing
from serinus.delivery.routing import Beside, Default, Publisher
from serinus.delivery.types import DeploymentSpec, Phase
from serinus.errors import Unavailable
from serinus.wire import BreakerRules, Route, RoutingTable, Target, Variant

OLD, NEW = Target("1.0.0", "/a/1.0.0"), Target("1.1.0", "/a/1.1.0")


def table(revision: int) -> RoutingTable:
    return RoutingTable(revision, {"fraud": Route("fraud", OLD, salt=str(revision))})


def read(path: Path) -> RoutingTable:
    return msgspec.json.decode(path.read_bytes(), type=RoutingTable)


def test_compose_without_a_deployment_gives_the_champion_everything() -> None:
    assert routing.compose({"fraud": OLD}, []) == {"fraud": Route("fraud", OLD)}


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.PAUSED])
@pytest.mark.parametrize(
    ("step", "share", "mirror"), [(0, 0.0, 1.0), (1, 0.05, 0.0), (3, 0.5, 0.0)]
)
def test_compose_follows_the_step(phase: Phase, step: int, share: float, mirror: float) -> None:
    live = deployment(phase=phase, step=step)
    route = routing.compose({"fraud": OLD}, [(live, NEW)])["fraud"]
    assert (route.champion, route.challenger) == (OLD, NEW)
    assert (route.share, route.mirror, route.step) == (share, mirror, step)
    assert (route.deployment, route.salt) == (live.id, live.plan.salt)


def test_compose_keeps_the_other_version_warm_without_a_request() -> None:
    live = deployment(phase=Phase.PENDING)
    route = routing.compose({"fraud": OLD}, [(live, NEW)])["fraud"]
    assert (route.champion, route.challenger) == (OLD, NEW)
    assert (route.share, route.mirror, route.clone, route.stands_in) == (0.0, 0.0, 0.0, False)


def test_compose_has_circuits_follow_the_plan() -> None:
    live = deployment(phase=Phase.RUNNING)
    rules = BreakerRules(rows=50)
    ruled = msgspec.structs.replace(live, plan=msgspec.structs.replace(live.plan, breaker=rules))
    assert routing.compose({"fraud": OLD}, [(ruled, NEW)])["fraud"].breaker == rules


def test_compose_has_the_former_champion_score_and_stand_in_during_the_soak() -> None:
    live = deployment(phase=Phase.SOAKING, step=4)
    route = routing.compose({"fraud": NEW}, [(live, OLD)])["fraud"]
    assert (route.champion, route.challenger) == (NEW, OLD)
    assert (route.share, route.mirror, route.clone) == (0.0, live.plan.soak_mirror, 0.0)
    assert route.stands_in


def test_compose_goes_on_answering_twice_in_the_soak_where_disagreement_is_judged() -> None:
    spec = DeploymentSpec(model="fraud", challenger="1.1.0", disagreement=0.3)
    live = deployment(spec, phase=Phase.SOAKING, step=4)
    assert routing.compose({"fraud": NEW}, [(live, OLD)])["fraud"].clone == live.plan.clone == 1.0


def test_compose_has_the_champion_answer_twice_only_what_is_mirrored() -> None:
    mirrored, live = (deployment(phase=Phase.RUNNING, step=step) for step in (0, 1))
    clones = [
        routing.compose({"fraud": OLD}, [(one, NEW)])["fraud"].clone for one in (mirrored, live)
    ]
    assert clones == [mirrored.plan.clone, 0.0]


def test_compose_gives_a_model_what_belongs_to_it() -> None:
    beside = Beside(
        staging={"fraud": NEW},
        warm={"fraud": [NEW, OLD]},
        defaults={"fraud": Default(0, 77), "churn": Default("no")},
    )
    routes = routing.compose({"fraud": OLD, "churn": OLD}, [], beside)
    assert routes["churn"] == Route("churn", OLD, default="no")
    assert routes["fraud"] == Route(
        "fraud", OLD, staging=NEW, default=0, warm=(NEW,), alone_until=77
    )


def test_compose_splits_the_traffic_of_an_experiment_while_it_runs() -> None:
    third = Target("1.2.0", "/a/1.2.0")
    running = deployment(phase=Phase.RUNNING, step=1)
    beside = Beside(splits={running.id: routing.split([third], (0.3, 0.2), (0.3, 0.1))})
    route = routing.compose({"fraud": OLD}, [(running, NEW)], beside)["fraud"]
    assert (route.share, route.others) == (0.3, (Variant(third, 0.3, 0.1),))
    soaking = msgspec.structs.replace(running, phase=Phase.SOAKING, step=4)
    assert routing.compose({"fraud": NEW}, [(soaking, OLD)], beside)["fraud"].others == ()


def test_compose_stages_nobody_who_was_dropped_from_a_live_experiment() -> None:
    third = Target("1.2.0", "/a/1.2.0")
    running = deployment(phase=Phase.RUNNING, step=1)
    for staged, shares, expected in (
        (NEW, (0.3, 0.1), NEW),
        (NEW, (0.0, 0.4), None),
        (third, (0.3, 0.1), third),
        (third, (0.4, 0.0), None),
        # One that has nothing to do with the experiment.
        (OLD, (0.0, 0.4), OLD),
    ):
        splits = {running.id: routing.split([third], (0.5, 0.5), shares)}
        beside = Beside(staging={"fraud": staged}, splits=splits)
        route = routing.compose({"fraud": OLD}, [(running, NEW)], beside)["fraud"]
        assert route.staging == expected


def test_unserved_are_the_versions_in_staging_of_models_without_a_route() -> None:
    beside = Beside(staging={"fraud": NEW, "churn": OLD})
    routes = routing.compose({"fraud": OLD}, [], beside)
    assert routes["fraud"].staging == NEW
    assert routing.unserved(routes, beside) == {"churn": OLD}


def test_compose_of_a_thousand_models_is_quick() -> None:
    champions = {f"model-{n}": Target("1.0.0", f"/models/{n}/1.0.0") for n in range(1_000)}
    live = [
        (deployment(model=model, phase=Phase.RUNNING, step=1), Target("1.1.0", target.uri))
        for model, target in champions.items()
    ]
    beside = Beside(staging=champions)

    def took() -> float:
        begun = time.perf_counter()
        msgspec.json.encode(RoutingTable(1, routing.compose(champions, live, beside)))
        return time.perf_counter() - begun

    assert min(took() for _ in range(5)) < 0.05


def test_compose_serves_a_first_version_as_soon_as_it_is_loaded() -> None:
    first = deployment(champion=None, phase=Phase.PENDING)
    route = routing.compose({}, [(first, NEW)])["fraud"]
    assert (route.champion, route.challenger, route.deployment) == (NEW, None, first.id)


def test_compose_never_challenges_a_version_with_itself() -> None:
    live = deployment(phase=Phase.SOAKING, step=4)
    assert routing.compose({"fraud": NEW}, [(live, NEW)])["fraud"].challenger is None


def test_compose_orders_models_by_name() -> None:
    assert list(routing.compose({"b": OLD, "a": OLD}, [])) == ["a", "b"]


def test_revise_counts_up_only_when_something_changed(engine: Engine) -> None:
    with engine.begin() as connection:
        assert routing.newest(connection) is None
        first = routing.revise(connection, table(0).routes, "one")
        again = routing.revise(connection, table(0).routes, "one again")
        second = routing.revise(connection, table(1).routes, "two")
        assert [first.revision, again.revision, second.revision] == [1, 1, 2]
        assert routing.newest(connection) == second


def test_publisher_never_sets_a_revision_back(tmp_path: Path) -> None:
    path = tmp_path / "state" / "routing.json"
    assert Publisher(path).publish(table(2))
    assert not Publisher(path).publish(table(1))
    assert not Publisher(path).publish(table(2))
    assert Publisher(path).publish(table(3))
    assert read(path) == table(3)


def test_publisher_writes_again_what_was_lost(tmp_path: Path) -> None:
    path = tmp_path / "routing.json"
    publisher = Publisher(path)
    assert publisher.publish(table(1))
    assert not publisher.publish(table(1))
    path.unlink()
    assert publisher.publish(table(1))
    path.write_bytes(b"{ half a tab")
    assert publisher.publish(table(1))
    assert read(path) == table(1)


def test_publisher_remembers_that_the_file_is_ahead(tmp_path: Path) -> None:
    path = tmp_path / "routing.json"
    Publisher(path).publish(table(7))
    publisher = Publisher(path)
    assert not publisher.publish(table(2))
    assert publisher.has(2)
    assert publisher.ahead_of(2) == 7
    assert publisher.ahead_of(7) == 0


def test_publisher_shows_readers_whole_tables_only(tmp_path: Path) -> None:
    path = tmp_path / "routing.json"
    Publisher(path).publish(table(1))
    seen: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.append(read(path).revision)

    reader = threading.Thread(target=watch)
    reader.start()

    def write() -> None:
        publisher = Publisher(path)
        for number in range(2, 60):
            publisher.publish(table(number))

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    stop.set()
    reader.join()
    assert seen == sorted(seen)
    assert read(path) == table(59)


def test_publisher_names_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    path = tmp_path / "taken" / "routing.json"
    with pytest.raises(Unavailable, match="cannot be written") as caught:
        Publisher(path).publish(table(1))
    assert caught.value.where == str(path)
