"""One CSV file: bytes to rows, each cell checked for itself."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from services.profile.oneroster.columns import Column, Form
from services.profile.oneroster.faults import Faults

MAX_ROWS: Final = 500_000
"""Rows of one file, the header included."""
MAX_CELL: Final = 4_096
"""Characters of one cell."""
MAX_ID: Final = 255
"""Characters of a `sourcedId` (binding: GUID type)."""
MAX_ITEMS: Final = 64
"""Values of one list."""

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_YEAR: Final = re.compile(r"[12]\d{3}", re.ASCII)
_USER_ID: Final = re.compile(r"\{[^{}:,]+:[^{},]+\}")
_EXTENSION: Final = "metadata."


@dataclass(frozen=True, slots=True)
class Row:
    """A row and the line it begins at, 1 being the header's. A district has several hundred thousand: each holds its cells and no more."""

    line: int
    cells: tuple[str, ...]
    places: Mapping[str, int] = field(repr=False)
    """Place of each column, the same for all rows of a file."""

    def __getitem__(self, column: str) -> str:
        return self.cells[self.places[column]]


def listed(cell: str) -> list[str]:
    """Return the values of a list cell.

    >>> listed("05, 06")
    ['05', '06']
    """
    return [value for value in (part.strip() for part in cell.split(",")) if value]


def text_of(file: str, content: bytes, faults: Faults) -> str | None:
    """Return the text of a file, or None where it is no clean UTF-8. A byte order mark is passed over."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        faults.add(file, line, None, "encoding", "bytes that are not UTF-8", "save the file as UTF-8")
        return None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        faults.add(file, line, None, "nul", "the character U+0000", "take it out: it is no text, or the file is UTF-16")
        return None
    return text


def raw_rows(file: str, text: str, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    """Yield each line number and its cells; empty lines are passed over. Stops at the first fault of syntax: the rest is guesswork."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    count = 0
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            detail, remedy = "quotes that do not pair, or a cell without end", 'write a quote inside quotes twice: ""'
            if "field limit" in str(error):
                limit = f"a cell of more than {csv.field_size_limit():,} characters, or a quote before it that has no other"
                faults.add(file, line, None, "too-long", limit, f"cells have at most {MAX_CELL:,} characters; {remedy}")
            else:
                faults.add(file, line, None, "quoting", detail, remedy)
            return
        if cells is None:
            return
        if cells:
            count += 1
            if count > MAX_ROWS:
                faults.add(file, line, None, "rows", f"more than {MAX_ROWS} rows", "send each district or source by itself")
                return
            yield line, cells


def read_table(file: str, content: bytes, columns: Sequence[Column], faults: Faults, known: dict[str, str] | None = None) -> list[Row]:
    """Return the rows of a file. What is wrong is added to `faults`; the rows are then good for finding more of it only.

    Args:
        known: texts that come again and again, such as ids that other files refer to; each is kept once.
    """
    text = text_of(file, content, faults)
    if text is None:
        return []
    rows = raw_rows(file, text, faults)
    header = next(rows, None)
    if header is None:
        faults.add(file, 1, None, "no-header", "the file is empty", f"begin it with the header {columns[0].name},{columns[1].name},...")
        return []
    if not header_fits(file, header[1], [column.name for column in columns], faults):
        return []
    return list(_rows(file, rows, columns, len(header[1]), faults, {} if known is None else known))


def header_fits(file: str, found: Sequence[str], expected: Sequence[str], faults: Faults) -> bool:
    """Return whether the header is the binding's, with nothing but `metadata.` columns behind it; else name the first difference."""
    for number, name in enumerate(expected):
        if number < len(found) and found[number] == name:
            continue
        code = "column-order" if name in found else "missing-column"
        faults.add(file, 1, name, code, f"column {number + 1} must be {name}", "names and order are those of the OneRoster 1.2 CSV binding")
        return False
    for number, name in enumerate(found[len(expected) :], len(expected) + 1):
        if not name.startswith(_EXTENSION) or name in found[: number - 1]:
            what = f"column {number} is not one of the binding's"
            faults.add(file, 1, str(number), "unknown-column", what, f"take it out, or name it once, with {_EXTENSION} before it")
            return False
    return True


def _rows(
    file: str, rows: Iterator[tuple[int, list[str]]], columns: Sequence[Column], width: int, faults: Faults, known: dict[str, str]
) -> Iterator[Row]:
    places = {column.name: place for place, column in enumerate(columns)}
    often = [place for place, column in enumerate(columns) if column.refers or column.words]
    lines: dict[str, int] = {}
    for line, cells in rows:
        if len(cells) != width:
            detail = f"{len(cells)} cells, the header has {width}"
            faults.add(file, line, None, "cells", detail, "write an empty cell for each value that is not known, and quote commas")
            continue
        for column, cell in zip(columns, cells, strict=False):
            wrong = _wrong(column, cell) if cell or column.needed else None
            if wrong is not None:
                faults.add(file, line, column.name, *wrong)
        first, name = cells[0], columns[0].name
        if first and lines.setdefault(first, line) != line:
            faults.add(file, line, name, "duplicate-id", f"line {lines[first]} has the same {name}", "keep one of the rows")
        for place in often:
            cells[place] = known.setdefault(cells[place], cells[place])
        yield Row(line, tuple(cell if cell.strip() else "" for cell in cells[: len(columns)]), places)


def _wrong(column: Column, cell: str) -> tuple[str, str, str] | None:
    """Return code, detail and remedy where a cell cannot be taken."""
    if not cell.strip():
        return ("missing", "it is empty", "a value is needed here") if column.needed else None
    if len(cell) > (MAX_ID if column.name == "sourcedId" else MAX_CELL):
        return "too-long", "the cell is too long", f"ids have at most {MAX_ID} characters, other cells {MAX_CELL}"
    if column.words and cell not in column.words and not cell.startswith("ext:"):
        return "unknown-word", "not a word of this column", "use one of " + ", ".join(sorted(column.words))
    return _misshapen(column.form, cell)


def _misshapen(form: Form, cell: str) -> tuple[str, str, str] | None:
    match form:
        case Form.EMPTY:
            return "not-empty", "filled in a bulk file", "leave it empty: only delta files fill it"
        case Form.BOOLEAN if cell not in ("true", "false"):
            return "boolean", "not a boolean", "write true or false, in lower case"
        case Form.DATE if not _is_date(cell):
            return "date", "not a date", "write YYYY-MM-DD, such as 2026-08-31"
        case Form.YEAR if not _YEAR.fullmatch(cell):
            return "year", "not a year", "write the year in which the school year ends, such as 2027"
        case Form.LIST if len(listed(cell)) > MAX_ITEMS or not listed(cell):
            return "list", f"not a list of 1 to {MAX_ITEMS} values", "separate the values by commas, the cell in quotes"
        case Form.USER_IDS if not all(_USER_ID.fullmatch(part) for part in listed(cell)) or not 0 < len(listed(cell)) <= MAX_ITEMS:
            return "user-ids", "not of the form {type:id}", 'write "{LMS:123},{LTI:abc}"'
        case _:
            return None


def _is_date(cell: str) -> bool:
    if not _DATE.fullmatch(cell):
        return False
    try:
        date.fromisoformat(cell)
    except ValueError:
        return False
    return True
