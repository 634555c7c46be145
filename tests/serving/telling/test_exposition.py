from prometheus_client.parser import text_string_to_metric_families

from serinus.serving.telling import exposition
from serinus.serving.telling.counters import BOUNDS, Counts, Tally

PRESENT = exposition.Present(
    revision=7,
    is_ready=True,
    waiting=2,
    takes_events=False,
    circuits={"m@2": "open", "m@3": "half-open"},
)


def some():
    latency = [0] * (len(BOUNDS) + 1)
    latency[2], latency[-1] = 3, 1
    return Counts(
        tallies=[
            Tally("m", "1", "champion", success=3, failed=1, seconds=12.5, latency=latency),
            Tally("m", "2", "champion", success=1, seconds=0.5, latency=list(latency)),
            Tally("m", "3", "staging", success=70, failed=30, latency=list(latency)),
        ],
        refused={"422": 2},
        labels=6,
        values=5,
        shed=4,
    )


def samples():
    text = exposition.metrics(some(), PRESENT).decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_sum_versions_and_bound_their_labels():
    found = samples()
    by = (("arm", "champion"), ("model", "m"))
    assert found[("ml_predictions_total", *by, ("status", "success"))] == 4
    assert found[("ml_predictions_total", *by, ("status", "failed"))] == 1
    assert found[("ml_prediction_latency_seconds_count", *by)] == 8
    assert found[("ml_prediction_latency_seconds_sum", *by)] == 13.0
    assert found[("serinus_gateway_refused_total", ("code", "422"))] == 2
    assert found[("serinus_gateway_shed_total",)] == 4
    assert found[("serinus_gateway_labels_total",)] == 6
    assert found[("serinus_gateway_values_total",)] == 5
    assert found[("serinus_gateway_revision",)] == 7
    assert found[("serinus_gateway_ledger_up",)] == 0
    assert found[("serinus_gateway_open_circuits",)] == 2
    assert {name for key in found for name, _ in key[1:]} <= {
        "arm", "model", "status", "code", "le", "version",
    }  # fmt: skip
    # A version is a label only while its circuit is not closed.
    versioned = {key: value for key, value in found.items() if "version" in dict(key[1:])}
    assert versioned == {
        ("serinus_circuit_open", ("model", "m"), ("version", "2")): 1.0,
        ("serinus_circuit_open", ("model", "m"), ("version", "3")): 0.5,
    }


def test_metrics_buckets_never_fall():
    buckets = sorted(
        (float(dict(key[1:])["le"]), value)
        for key, value in samples().items()
        if key[0] == "ml_prediction_latency_seconds_bucket"
    )
    assert len(buckets) == len(BOUNDS) + 1
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)


def test_stats_name_versions():
    found = exposition.stats(some())
    assert (found["requests"], found["errors"], found["shed"]) == (5, 1, 4)
    assert (found["labels"], found["values"]) == (6, 5)
    assert found["models"]["m"]["1"]["champion"]["failed"] == 1
    assert set(found["models"]["m"]["2"]["champion"]["latency_ms"]) == {"p50", "p95", "p99"}


def test_staging_is_told_apart():
    found = samples()
    assert found[("serinus_staging_predictions_total", ("model", "m"), ("status", "failed"))] == 30
    assert not [key for key in found if ("arm", "staging") in key]
    told = exposition.stats(some())
    assert told["staging"]["m"]["3"]["success"] == 70
    assert "3" not in told["models"]["m"]


def test_stats_of_nothing():
    assert exposition.stats(Counts())["models"] == {}
