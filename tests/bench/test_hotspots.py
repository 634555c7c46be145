import pstats

from serinus.bench import hotspots
from serinus.bench.turns import Pace


def test_hotspots_show_the_functions_of_a_worker(home, tmp_path):
    file = tmp_path / "worker.prof"
    shown = hotspots.of("logistic", home, Pace(0.3, 1, 4), file)
    assert "requests a second under the profiler" in shown
    files = {place[0].rpartition("/serinus/")[2] for place in pstats.Stats(str(file)).stats}
    assert "serving/http/application.py" in files
