"""A version as an ONNX graph: a small file, small memory, and a call of a few microseconds.

A graph here takes ``numbers`` (doubles, rows x numeric inputs) or ``texts`` (strings, rows x text
inputs) or both, and gives ``scores`` (rows x classes), ``label`` or both, or ``value`` for a
regression. Its ``classes`` property lists the model's classes in the order of the scores as JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime

from serinus.errors import InvalidInput
from serinus.serving.runtimes.arrays import Splitter, numbers_of
from serinus.serving.runtimes.outcomes import ClassIndex, flat, numbers
from serinus.serving.types import Features, Outcome
from serinus.wire import Manifest

CLASSES = "serinus.classes"
"""The property of a graph that lists the model's classes."""

_ERRORS_ONLY = 3


class OnnxRuntime:
    """A graph in ONNX Runtime, on one thread of this process.

    Args:
        path: the graph.
        manifest: of the version.

    Raises:
        InvalidInput: it is not a graph of this manifest.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self._manifest = manifest
        self._session = open_session(path)
        self._classes = ClassIndex(manifest)
        self._split = Splitter(manifest.inputs)
        self._order: npt.NDArray[np.intp] | None = None
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._gives = " and ".join(self._outputs)
        takes = {given.name for given in self._session.get_inputs()}
        needs = {"numbers"} if self._split.has_numbers else set()
        needs |= {"texts"} if self._split.has_texts else set()
        if not takes <= needs:
            raise InvalidInput(
                f"the graph takes {sorted(takes)}, the version has {sorted(needs)}",
                where=str(path),
                remedy="Package the version again: serinus models package NAME VERSION.",
            )
        self._only_numbers = needs == {"numbers"}
        self._takes_numbers, self._takes_texts = "numbers" in takes, "texts" in takes
        if manifest.task == "classification":
            self._fit_classes(path)

    @property
    def manifest(self) -> Manifest:
        """What the version's folder says of it."""
        return self._manifest

    @property
    def is_steady(self) -> bool:
        """A graph has no branches that wait."""
        return True

    def answer(self, rows: Sequence[Features]) -> list[Outcome]:
        """One outcome for each row; raises whatever the graph raises."""
        if self._only_numbers:
            feed: dict[str, Any] = {"numbers": numbers_of(rows)}
        else:
            feed = self._feed(rows)
        given = self._session.run(self._outputs, feed)
        first = given[0] if self._order is None else given[0][:, self._order]
        if self._gives == "scores":
            return self._classes.of_scores(first)
        if self._gives == "value":
            return numbers(first)
        if self._gives == "label":
            return self._classes.of_values(flat(first))
        return self._classes.of_both(flat(given[1]), first)

    def close(self) -> None:
        """Nothing of it lives outside of this process's memory."""

    def _feed(self, rows: Sequence[Features]) -> dict[str, Any]:
        feed: dict[str, Any] = {}
        if self._takes_numbers:
            feed["numbers"] = self._split.numbers(rows)
        if self._takes_texts:
            feed["texts"] = self._split.texts(rows)
        return feed

    def _fit_classes(self, path: Path) -> None:
        about = self._session.get_modelmeta().custom_metadata_map.get(CLASSES, "")
        if not about:
            raise InvalidInput("the graph does not tell its classes", where=str(path))
        order = self._classes.order(list(msgspec.json.decode(about)))
        if "scores" not in self._outputs:
            return
        # Indexing copies: where the two orders are one, the scores are taken as they come.
        self._order = None if (order == np.arange(len(order))).all() else order


def open_session(path: Path) -> Any:
    """A session with the options of a gateway: one thread, little memory, no chatter.

    Raises:
        InvalidInput: the file is no graph that this ONNX Runtime can run.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _ERRORS_ONLY
    # The arena keeps the memory of the largest batch for good, for no gain that can be measured.
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise InvalidInput(
            f"the graph cannot be opened ({str(error).splitlines()[0]})",
            where=str(path),
            remedy="Package the version again: serinus models package NAME VERSION.",
        ) from error
