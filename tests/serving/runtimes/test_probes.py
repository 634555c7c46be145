from tests.serving import samples

from serinus.serving.runtimes import probes


def test_probe_rows_begin_with_the_example_and_differ():
    rows = probes.probe_rows(samples.manifest(), 3)
    assert rows[0] == (40.0, 0.0, "Ulm")
    assert len({row[0] for row in rows}) == 3
    unknown = probes.probe_rows(samples.manifest(example={}), 1)
    assert unknown == [(0.0, None, None)]
