from tests.serving.http.bodies import FEATURES


def test_model_info_tells_what_to_send(serving):
    info = serving.get("/models/mood").json()
    assert (info["version"], info["challenger"], info["share"]) == ("no", "good", 0.5)
    assert info["inputs"][0] == {"name": "age", "type": "double", "required": True}
    assert serving.post("/models/mood/predict", {"features": info["example"]}).status_code == 200
    assert {item["model"] for item in serving.get("/model-info").json()["models"]} == {
        "mood",
        "numbers",
    }


def test_health_and_metrics(serving):
    body = {"features": FEATURES}
    serving.post("/models/mood/predict", body, **{"x-serinus-arm": "champion"})
    health = serving.get("/health").json()
    assert health["ready"] is True
    assert health["ledger"] == "ok"
    assert set(health["serving"]) == {"mood@no", "mood@good", "numbers@numbers"}
    assert serving.get("/health/ready").status_code == 200
    text = serving.get("/metrics").text
    assert 'ml_predictions_total{arm="champion",model="mood",status="success"}' in text
    assert "ml_prediction_latency_seconds_bucket" in text
    assert "serinus_gateway_revision 3.0" in text
    assert 'version="' not in text


def test_stats_count_what_was_answered(serving):
    before = serving.get("/stats").json()
    serving.post("/models/numbers/predict", {"features": {f"x{i}": 1.0 for i in range(4)}})
    serving.post("/models/numbers/predict", {"features": {}})
    after = serving.get("/stats").json()
    assert after["requests"] == before["requests"] + 1
    assert after["refused"]["422"] == before["refused"].get("422", 0) + 1
    arm = after["models"]["numbers"]["numbers"]["champion"]
    assert 0 < arm["latency_ms"]["p50"] <= arm["latency_ms"]["p99"]
