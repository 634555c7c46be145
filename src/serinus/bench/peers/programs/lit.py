"""LitServe: requests are gathered into batches, of which one call answers all.

Runs in the environment of that peer: ``lit.py PORT``.
"""

import sys
from typing import Any

import joblib
import litserve
import numpy as np
from fastapi import Request

MAX_BATCH = 32
BATCH_SECONDS = 0.01


class Classifier(litserve.LitAPI):
    """The class of one row ``{"row": [numbers]}``."""

    def setup(self, device: str) -> None:
        """Load the model in the process that is to use it."""
        self.model = joblib.load("model.joblib")

    # Its type makes the server read the body as JSON and ask no more of it, which is the quickest
    # way; what comes here is the document.
    def decode_request(self, request: Request) -> list[float]:
        """The numbers of a request."""
        row: list[float] = request["row"]
        return row

    def batch(self, inputs: list[list[float]]) -> Any:
        """Several rows as one array."""
        return np.asarray(inputs)

    def predict(self, x: Any) -> Any:
        """Their classes."""
        return self.model.predict(x)

    def unbatch(self, output: Any) -> list[int]:
        """The class of each."""
        classes: list[int] = output.tolist()
        return classes

    def encode_response(self, output: int) -> dict[str, int]:
        """What the client gets."""
        return {"class": output}


if __name__ == "__main__":
    api = Classifier(max_batch_size=MAX_BATCH, batch_timeout=BATCH_SECONDS)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(
        port=int(sys.argv[1]),
        host="127.0.0.1",
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
    )
