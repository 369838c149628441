"""Opens a CSV or Parquet file as a header and rows, and reads its cells as texts and times."""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from shared.errors import BadInput, CairnError, Fault

DELIMITERS: Final = ",\t;"
SECONDS_PER_DAY: Final = 86_400.0
IN_MILLISECONDS: Final = 1e11
"""A time that is a number this large counts milliseconds since 1970; a smaller one seconds."""


class NoFitting(CairnError):
    """What calibrating needs is not installed."""

    def __init__(self, missing: str) -> None:
        super().__init__(f"{missing} is not installed: `pip install cairn[calibration]` brings what calibrating needs")


def opened(path: Path) -> tuple[list[str], Iterator[list[Any]]]:
    """Return the names of the columns, and the rows, of a CSV file (`,`, tab or `;`; `.gz` too) or a Parquet file.

    Raises:
        BadInput: it is neither.
        NoFitting: what reads Parquet is not installed.
    """
    return _parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _csv(path)


def _csv(path: Path) -> tuple[list[str], Iterator[list[Any]]]:
    raw = path.read_bytes()
    if path.suffix.lower() == ".gz":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError) as error:
            raise BadInput(f"{path.name} is no whole gzip file ({error}): copy it again") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = raw.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{path.name} is not in UTF-8", [Fault(f"{path.name}:{row}", "encoding", f"byte {raw[error.start]:#04x}", "save it as UTF-8")]
        ) from None
    lines = text.splitlines()
    if not lines:
        raise BadInput(f"{path.name} is empty: a header and a row for each response are needed")
    delimiter = max(DELIMITERS, key=lambda sign: lines[0].count(sign))
    rows = csv.reader(lines, delimiter=delimiter)
    try:
        return [name.strip() for name in next(rows)], rows
    except csv.Error as error:
        fault = Fault(f"{path.name}:1", "csv", str(error), "quote names that hold quotes or line ends")
        raise BadInput(f"{path.name} has no header that can be read", [fault]) from None


def _parquet(path: Path) -> tuple[list[str], Iterator[list[Any]]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise NoFitting(str(error.name)) from None
    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise BadInput(f"{path.name} is no Parquet file that can be read: {error}") from None
    columns = [column.to_pylist() for column in table.columns]
    return table.column_names, (list(row) for row in zip(*columns, strict=True))


def text_of(value: Any) -> str:
    """Return a cell as text; whole numbers without a point, nothing for what is empty or not a number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def days_of(told: Any) -> float | None:
    """Return a time as days since 1970; None for what is none."""
    if isinstance(told, datetime):
        return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp() / SECONDS_PER_DAY
    if isinstance(told, date):
        return datetime(told.year, told.month, told.day, tzinfo=UTC).timestamp() / SECONDS_PER_DAY
    text = text_of(told)
    try:
        number = float(text)
    except ValueError:
        try:
            return days_of(datetime.fromisoformat(text))
        except ValueError:
            return None
    return number / (1000.0 if abs(number) >= IN_MILLISECONDS else 1.0) / SECONDS_PER_DAY
