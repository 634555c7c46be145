from __future__ import annotations

from tests.api.running import MODEL, Faces
from tests.cli.calling import serinus

from serinus import clock
from serinus.processes.watch import Watch
from serinus.registry.types import Stage
from serinus.stats import bins
from serinus.wire import Arm, Assignment, Output, Prediction


def test_monitor_tells_advice_and_windows(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)

    def call(*arguments: str):
        return serinus("monitor", *arguments, home=faces.app.settings.home, control=faces.url)

    status = call("status", "--json").json
    assert status["monitoring"]["models"] == {MODEL: "NO_ACTION_NEEDED"}
    assert status["recommendations"][MODEL]["reasons"]
    assert "NO_ACTION_NEEDED" in call("status").out
    assert call("drift", MODEL, "--json").json == {"drift": []}
    assert "No window has closed yet" in call("performance", MODEL).out
    assert call("drift", "nobody").code == 2


def test_monitor_profile_shows_the_quality_of_each_column(faces: Faces) -> None:
    reference = bins.reference_profile({"amount": [1.0, 2.0], "age": [20.0, 40.0]}, [0.1, 0.9])
    faces.register("1.0.0", stage=Stage.PRODUCTION, reference=reference)
    made = Prediction(
        clock.epoch_us(),
        Assignment(MODEL, Arm.CHAMPION, 0.0, 1),
        "1.0.0",
        (-5.0, None),
        Output(1, (0.3, 0.7)),
        900,
    )
    faces.writer.append([made] * 4)
    Watch(faces.app).look()

    def call(*arguments: str):
        given = ("monitor", "profile", MODEL, *arguments)
        return serinus(*given, home=faces.app.settings.home, control=faces.url)

    [told] = call("--json").json["profiles"]
    assert (told["rows"], told["version"]) == (4, "1.0.0")
    assert [column["missing"] for column in told["columns"]] == [0, 4, 0]
    shown = call().out
    assert f"{MODEL} 1.0.0: 4 rows" in shown
    assert shown.count("4 (100.0%)") == 2
    by_hour = call("--resolution", "hour").out
    assert "4 (33.3%)" in by_hour
    assert "No prediction" in call("--version", "9.9.9").out
