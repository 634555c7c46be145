import pytest

from serinus.bench import controller
from serinus.errors import InvalidInput


def test_run_refuses_a_number_of_no_sense():
    with pytest.raises(InvalidInput, match="at least 1"):
        controller.run(0)


def test_run_measures_passes_over_live_deployments():
    report = controller.run(60, process=False)
    assert 0 < report.idle < report.busy
    assert report.busy <= report.judged
    assert report.harmed > 0
    assert len(report.bars) == 6
    assert "a controller's first pass" in str(report)
    assert report.as_dict()["deployments"] == 60
