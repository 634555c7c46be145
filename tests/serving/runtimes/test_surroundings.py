import pytest

from serinus.serving.runtimes import surroundings


@pytest.mark.parametrize(
    ("name", "passes"),
    [
        ("PATH", True),
        ("LC_CTYPE", True),
        ("OPENBLAS_NUM_THREADS", True),
        ("CUDA_VISIBLE_DEVICES", True),
        ("DO_NOT_TRACK", True),
        ("PYTHONPATH", True),
        ("SERINUS_LEDGER_URL", False),
        ("MLFLOW_TRACKING_PASSWORD", False),
        ("AWS_SECRET_ACCESS_KEY", False),
        ("HF_TOKEN", False),
        ("TF_CPP_MIN_LOG_LEVEL", True),
        ("TF_VAR_password", False),
        ("MY_PATH", False),
        ("HTTPS_PROXY", False),
    ],
)
def test_surroundings_let_nothing_pass_that_is_not_known(monkeypatch, name, passes):
    monkeypatch.setenv(name, "x")
    assert (name in surroundings.harmless()) == passes
