"""The rows of the demo: what is trained on, what arrives live, and how the world then changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from serinus.data import ingest, validation
from serinus.data.dataset import Prepared
from serinus.data.split import split
from serinus.data.validation import Purpose
from serinus.errors import InvalidInput

BUNDLED = "breast_cancer"
TRAINING_SHARE = 0.4
# The demo is for watching; more rows would only make it train longer.
MOST_ROWS = 20_000
FEWEST_ROWS = 200
# How far inputs move when the world changes, in their own standard deviations.
SHIFT = 1.5


@dataclass(frozen=True)
class Pool:
    """Rows for live traffic with their labels, which the model has never seen."""

    features: list[dict[str, Any]]
    labels: list[Any]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Rows:
    """All rows of one demo, each used for one purpose only.

    ``live``, ``shifted`` and ``after`` hold different rows; the last two are changed in the same
    way, so a version that is retrained on ``shifted`` is then judged on rows it never saw.
    """

    training: pd.DataFrame
    target: str
    task: str
    numeric: tuple[str, ...]
    text: tuple[str, ...]
    live: Pool
    shifted: Pool
    after: Pool

    def tidied_training(self) -> pd.DataFrame:
        """The training rows with numbers standardised and texts upper-cased in place.

        That is how training/serving skew happens: a notebook tidies the columns before it hands the
        file over, the tidying stays in the notebook, and live requests come as they always did.
        """
        frame = self.training.copy()
        for name in self.numeric:
            column = frame[name].astype(float)
            frame[name] = (column - column.mean()) / (column.std() or 1.0)
        for name in self.text:
            frame[name] = frame[name].str.upper() + "."
        return frame


def prepare(data: str | None, target: str | None, *, seed: int = 7) -> Rows:
    """Read and check the data, and deal the rows.

    Raises:
        InvalidInput: the data cannot be used; everything that is wrong with it is listed.
    """
    if data is None:
        data, target = BUNDLED, target or "target"
    if target is None:
        raise InvalidInput(
            "the column to predict is not named",
            where=data,
            remedy="Name it with --target COLUMN.",
        )
    _report, prepared = validation.prepare(ingest.read(data), Purpose(target=target))
    return deal(prepared, seed=seed)


def deal(prepared: Prepared, *, seed: int) -> Rows:
    """Deal the rows of a dataset to their purposes.

    Raises:
        InvalidInput: there are too few rows to train, serve, shift and judge.
    """
    frame = prepared.frame[[*prepared.features, prepared.target]]
    if len(frame) < FEWEST_ROWS:
        raise InvalidInput(
            f"the demo needs at least {FEWEST_ROWS} usable rows and has {len(frame)}",
            where=prepared.dataset.name,
            remedy="Give a larger file; `serinus train` takes small ones as well.",
        )
    frame = frame.sample(min(len(frame), MOST_ROWS), random_state=seed).reset_index(drop=True)
    if prepared.classes:
        training, rest = split(
            frame, kind="stratified", by=prepared.target, test_size=1 - TRAINING_SHARE, seed=seed
        )
    else:
        training, rest = split(frame, kind="random", test_size=1 - TRAINING_SHARE, seed=seed)
    kinds = prepared.kinds
    numeric = tuple(name for name in prepared.features if kinds[name] == "number")
    text = tuple(name for name in prepared.features if kinds[name] == "text")
    offsets = _offsets(training, numeric, prepared.target)
    # Where no number can move, the source of the texts changes what it means by them.
    renamed = {} if offsets else {name: _renaming(training[name]) for name in text}
    thirds = [rest.iloc[start::3] for start in range(3)]
    return Rows(
        training=training,
        target=prepared.target,
        task=prepared.task,
        numeric=numeric,
        text=text,
        live=_pool(thirds[0], prepared.target),
        shifted=_pool(_shift(thirds[1], offsets, renamed), prepared.target),
        after=_pool(_shift(thirds[2], offsets, renamed), prepared.target),
    )


def write(frame: pd.DataFrame, path: Path) -> Path:
    """Keep rows as a CSV file that anybody can look at."""
    frame.to_csv(path, index=False)
    return path


def _offsets(training: pd.DataFrame, numeric: tuple[str, ...], target: str) -> dict[str, float]:
    """How far each input moves: the half that says most of the target, toward one end of it."""
    truth = pd.factorize(training[target], sort=True)[0].astype(float)
    if pd.api.types.is_float_dtype(training[target]):
        truth = training[target].to_numpy(float)
    told: dict[str, float] = {}
    for name in numeric:
        column = training[name].astype(float)
        spread = float(column.std())
        filled = column.fillna(column.mean()).to_numpy()
        told[name] = float(np.corrcoef(filled, truth)[0, 1]) if spread > 0 else 0.0
    chosen = sorted(told, key=lambda name: -abs(told[name]))[: max(1, (len(told) + 1) // 2)]
    return {
        name: SHIFT * float(training[name].astype(float).std()) * (1.0 if told[name] >= 0 else -1.0)
        for name in chosen
        if told[name] != 0.0
    }


def _renaming(column: pd.Series[Any]) -> dict[str, str]:
    """Each text stands for the next one from now on, the rarest for the most frequent."""
    texts = [str(text) for text in column.value_counts().index]
    return dict(zip(texts, texts[1:] + texts[:1], strict=True))


def _shift(
    frame: pd.DataFrame, offsets: dict[str, float], renamed: dict[str, dict[str, str]]
) -> pd.DataFrame:
    shifted = frame.copy()
    for name, offset in offsets.items():
        shifted[name] = shifted[name].astype(float) + offset
    for name, texts in renamed.items():
        shifted[name] = shifted[name].map(texts, na_action="ignore")
    return shifted


def _pool(frame: pd.DataFrame, target: str) -> Pool:
    plain = frame.astype(object).where(frame.notna(), None)
    rows = plain.to_dict(orient="records")
    labels = [_plain(row.pop(target)) for row in rows]
    return Pool([{str(name): _plain(value) for name, value in row.items()} for row in rows], labels)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
