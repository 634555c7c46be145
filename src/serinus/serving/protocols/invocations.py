"""MLflow's scoring protocol: the bodies of ``/invocations`` -> rows, predictions -> a body. Pure.

What ``mlflow models serve`` takes is taken, and read as it reads it, with three differences. A
missing value is missing in every form (there, null becomes the text "None" in some). A value that
could only be taken by changing it is refused (there, 3.7 becomes 3 in a column of whole numbers,
and the text "False" becomes true). And what is guessed there is refused: rows of unequal length,
columns of one name.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from serinus.errors import InvalidInput
from serinus.serving.protocols import answers, cells
from serinus.serving.protocols.answers import Predicted
from serinus.serving.protocols.decode import check_length
from serinus.serving.types import Features
from serinus.wire import Answer, Field

JSON = "application/json"
CSV = "text/csv"
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")

_Columns: TypeAlias = dict[str, Sequence[Any]]

# What pandas, and so MLflow, reads as a missing value.
_MISSING = frozenset(
    (
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND",
        "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
    )
)  # fmt: skip
_BOOLEANS: Mapping[str, bool] = {
    "True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False,
}  # fmt: skip


class _Table(NamedTuple):
    """Columns by name, and how many rows there are, which no column may show."""

    columns: _Columns
    length: int


class Invoked(msgspec.Struct, frozen=True):
    """MLflow's answer; ``prediction_ids`` is ours, where MLflow itself puts metadata.

    MLflow's own client hands such members through, which headers would not be.
    """

    predictions: list[Answer]
    prediction_ids: list[str]


def media_type(header: bytes | None) -> str:
    """The type of a body that can be read; JSON, if none is told.

    Raises:
        InvalidInput: it cannot be read.
    """
    if header is None:
        return JSON
    kind, *parameters = (part.strip() for part in header.decode("latin-1").split(";"))
    for parameter in filter(None, parameters):
        name, _, value = parameter.partition("=")
        if name.strip().lower() != "charset":
            raise InvalidInput(f"the parameter {name[:50]!r} is unknown", where="content-type")
        if value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            raise InvalidInput("only UTF-8 is read", where="content-type")
    kind = kind.lower()
    if kind not in (JSON, CSV):
        raise InvalidInput(
            f"{kind[:100]!r} is not read", where="content-type", remedy=f"Send {JSON} or {CSV}."
        )
    return kind


def rows(body: bytes, kind: str, inputs: Sequence[Field], max_rows: int) -> list[Features]:
    """The rows of a body.

    Args:
        body: as it came.
        kind: ``JSON`` or ``CSV``.
        inputs: what a row may hold.
        max_rows: more are refused.

    Raises:
        InvalidInput: naming what cannot be read, or what the model cannot take.
    """
    table = _from_csv(body, max_rows) if kind == CSV else _from_json(body, inputs, max_rows)
    loosen = _from_text if kind == CSV else _from_loose
    columns = {
        field.name: loosen(field, table.columns[field.name])
        for field in inputs
        if field.name in table.columns
    }
    return cells.rows(inputs, columns, table.length)


def answer(predicted: Sequence[Predicted]) -> bytes:
    """The body of an answer."""
    return answers.encode(
        Invoked([row.prediction for row in predicted], [row.prediction_id for row in predicted])
    )


def error(code: str, message: str) -> bytes:
    """MLflow's own form of a refusal."""
    return answers.encode({"error_code": code, "message": message})


# ------------------------------------------------------------------ JSON


def _from_json(body: bytes, inputs: Sequence[Field], max_rows: int) -> _Table:
    document = cells.read_json(body)
    forms = [name for name in FORMS if name in document] if isinstance(document, dict) else []
    if len(forms) != 1:
        raise InvalidInput(
            f"there are {len(forms)} of the members that rows can be in",
            remedy=f"Send a JSON object with exactly one of {', '.join(FORMS)}.",
        )
    if document.get("params") not in (None, {}):
        raise InvalidInput(
            "the model has no parameters", where="params", remedy="Leave params out."
        )
    form = forms[0]
    table = _READ[form](document[form], form, inputs, max_rows)
    check_length(range(table.length), max_rows, form)
    return table


def _split(given: Any, place: str, _inputs: Sequence[Field], max_rows: int) -> _Table:
    if not isinstance(given, dict) or not isinstance(given.get("data"), list):
        raise InvalidInput(
            "the rows are missing",
            where=place,
            remedy='Send {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}.',
        )
    if unknown := given.keys() - {"columns", "index", "data"}:
        raise InvalidInput(f"the member {min(unknown)[:50]!r} is unknown", where=place)
    names, data, index = given.get("columns"), given["data"], given.get("index")
    if not isinstance(names, list):
        raise InvalidInput("the names of the columns are missing", where=f"{place}.columns")
    if isinstance(index, list) and len(index) != len(data):
        raise InvalidInput(
            f"there are {len(index)} entries for {len(data)} rows", where=f"{place}.index"
        )
    check_length(data, max_rows, f"{place}.data")
    for row, values in enumerate(data):
        if not isinstance(values, list) or len(values) != len(names):
            raise InvalidInput(
                f"the row is no list of {len(names)} values", where=f"{place}.data[{row}]"
            )
    return _Table(_named(names, data, f"{place}.columns"), len(data))


def _records(given: Any, place: str, inputs: Sequence[Field], max_rows: int) -> _Table:
    if not isinstance(given, list) or not all(isinstance(row, dict) for row in given):
        raise InvalidInput(
            "it is no list of objects", where=place, remedy='Send [{"a": 1, "b": 2}, ...].'
        )
    check_length(given, max_rows, place)
    names = [field.name for field in inputs if any(field.name in row for row in given)]
    return _Table({name: [row.get(name) for row in given] for name in names}, len(given))


def _tensors(given: Any, place: str, inputs: Sequence[Field], max_rows: int) -> _Table:
    if isinstance(given, dict):
        return _by_column(given, place, inputs, max_rows)
    if isinstance(given, list) and (not given or isinstance(given[0], dict)):
        return _records(given, place, inputs, max_rows)
    if isinstance(given, list) and len(inputs) == 1:
        return _Table({inputs[0].name: given}, len(given))
    raise InvalidInput(
        "the values are without the names of their columns",
        where=place,
        remedy='Send {"a": [1, 3], "b": [2, 4]} or [{"a": 1, "b": 2}, ...].',
    )


def _by_column(given: dict[str, Any], place: str, inputs: Sequence[Field], max_rows: int) -> _Table:
    lengths = {len(values) for values in given.values() if isinstance(values, list)}
    if len(lengths) > 1:
        raise InvalidInput("the columns are not of one length", where=place)
    # A single value stands for a column of it, and single values alone for one row.
    count = lengths.pop() if lengths else min(len(given), 1)
    check_length(range(count), max_rows, place)
    found = {field.name: given[field.name] for field in inputs if field.name in given}
    return _Table(
        {
            name: values if isinstance(values, list) else [values] * count
            for name, values in found.items()
        },
        count,
    )


_READ: Mapping[str, Callable[[Any, str, Sequence[Field], int], _Table]] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _tensors,
    "inputs": _tensors,
}


def _named(names: Sequence[Any], data: Sequence[Sequence[Any]], place: str) -> _Columns:
    """The columns of rows; what is not named by a text is no input."""
    found: _Columns = {}
    for name, values in zip(names, zip(*data, strict=True), strict=True):
        if not isinstance(name, str) or not name:
            continue
        if name in found:
            raise InvalidInput(f"the column {name[:50]!r} is there twice", where=place)
        found[name] = values
    return found


def _from_loose(field: Field, values: Sequence[Any]) -> Sequence[Any]:
    """Values as MLflow reads them from JSON: booleans are numbers, numbers may come as text."""
    kinds = set(map(type, values))
    if field.type in ("double", "long"):
        if bool in kinds:
            values = [int(value) if isinstance(value, bool) else value for value in values]
        if str in kinds:
            parse = float if field.type == "double" else int
            return [
                _number(parse, field, value, row) if isinstance(value, str) else value
                for row, value in enumerate(values)
            ]
    elif field.type == "boolean" and kinds & {int, float}:
        return [
            bool(value) if type(value) in (int, float) and value in (0, 1) else value
            for value in values
        ]
    return values


def _number(parse: Callable[[str], float | int], field: Field, text: str, row: int) -> float | int:
    try:
        if "_" not in text:
            return parse(text)
    except ValueError:
        pass
    raise cells.fault(f"{text[:50]!r} is no number", row, field.name)


def _whole(text: str) -> float | int:
    """A whole number, though pandas may have written it as 3.0 beside values that are missing."""
    try:
        # Not by way of a float, which has 53 bits.
        return int(text)
    except ValueError:
        return float(text)


# ------------------------------------------------------------------ CSV


def _from_csv(body: bytes, max_rows: int) -> _Table:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput("the body is not UTF-8") from error
    try:
        # Read no further than to know that there are too many.
        lines = list(_lines(text, max_rows + 2))
    except csv.Error as error:
        raise InvalidInput(f"the body is no CSV ({error})") from error
    if not lines:
        raise InvalidInput("the body is empty", remedy="Send a line of names, then the rows.")
    names, data = lines[0], lines[1:]
    check_length(data, max_rows, "rows")
    for row, values in enumerate(data):
        if len(values) != len(names):
            raise InvalidInput(
                f"the row has {len(values)} values, the first line {len(names)} names",
                where=f"row {row}",
            )
    return _Table(_named(names, data, "the first line"), len(data))


def _lines(text: str, limit: int) -> Iterator[list[str]]:
    for line in csv.reader(io.StringIO(text, newline=""), strict=True):
        if line:
            yield line
            limit -= 1
        if not limit:
            return


def _from_text(field: Field, values: Sequence[str]) -> Sequence[Any]:
    """The values of a column of text."""
    missing = None
    if field.type == "string":
        return [missing if text in _MISSING else text for text in values]
    if field.type == "boolean":
        return [missing if text in _MISSING else _BOOLEANS.get(text, text) for text in values]
    parse = float if field.type == "double" else _whole
    return [
        missing if text in _MISSING else _number(parse, field, text, row)
        for row, text in enumerate(values)
    ]
