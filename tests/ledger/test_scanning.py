from tests.ledger.conftest import prediction

from serinus import wire
from serinus.ledger import ids
from serinus.ledger.scanning import scan
from serinus.ledger.types import Batch, Offset, Record


class Pages:
    """A reader of batches that are given: the second without records, its damage passed over."""

    def __init__(self, pages):
        self.pages = pages

    def read(self, offsets, limit):
        at = offsets.get("00000000", Offset(0, 0)).offset
        if at == len(self.pages):
            return Batch([], dict(offsets))
        records = [Record(ids.pack(b"0000", 0, 0, 0), event) for event in self.pages[at]]
        return Batch(records, {"00000000": Offset(0, at + 1)}, damaged_bytes=9)


def test_scan_selects_model_and_time_and_passes_damage():
    status = wire.WorkerStatus(9, "w", 1, (), {})
    pages = Pages([[prediction(1), prediction(7, model="churn")], [], [prediction(8), status]])
    times = [[record.event.at for record in scan(pages, *wanted)] for wanted in WANTED]
    assert times == [[1, 7, 8, 9], [1, 8], [8, 9], [7]]


WANTED = [(None, None), ("fraud", None), (None, 8), ("churn", 2)]
