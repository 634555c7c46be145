"""FastAPI, pandas and scikit-learn, as most people put them together: a frame of one row a request.

Runs in the environment of that peer: ``fast.py PORT``.
"""

from __future__ import annotations

import sys

import fastapi
import joblib
import pandas as pd
import uvicorn

app = fastapi.FastAPI()
model = joblib.load("model.joblib")


@app.get("/health")
async def health() -> dict[str, str]:
    """That it serves."""
    return {"status": "ready"}


# Not a plain function, which would cost a hop to another thread for each request.
@app.post("/predict")
async def predict(features: dict[str, float]) -> dict[str, int]:
    """The class of one row of named numbers."""
    return {"class": int(model.predict(pd.DataFrame([features]))[0])}


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        http="httptools",
        loop="uvloop",
        access_log=False,
        log_level="warning",
    )
