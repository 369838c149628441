"""Which competencies items give evidence about: read from JSON or CSV, all or nothing. Pure."""

from __future__ import annotations

import csv
import io
import re
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from services.evidence.told import MAX_ID
from shared.contracts.evidence import ItemAligned
from shared.errors import BadInput, Fault, MalformedInput, TooLarge
from shared.keys import competency_id_of, is_iri, item_id_of
from shared.naming import CompetencyNamed

MAX_ITEMS: Final = 20_000
"""Items of one import."""
MAX_ROWS: Final = 100_000
"""Rows of a CSV file, each an item and one of its competencies."""
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_COMPETENCIES: Final = 16
"""Of one item."""
MAX_COMPETENCY: Final = 64
"""Characters of a competency's id, as in a framework."""
MAX_FAULTS: Final = 1_000
"""Faults looked for before reading stops."""
HEADER: Final = ["item", "competency"]
_COMPETENCY: Final = re.compile(rf"[\x21-\x7e]{{1,{MAX_COMPETENCY}}}")

Competency = Annotated[CompetencyNamed, StringConstraints(min_length=1, max_length=MAX_COMPETENCY)]


class Alignment(BaseModel):
    """An item and what it gives evidence about, from now on; acts that were recorded before stay as they are."""

    model_config = ConfigDict(extra="forbid")

    item: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID)] = Field(description="IRI of the item.")
    competencies: list[Competency] = Field(
        min_length=1, max_length=MAX_COMPETENCIES, description="GUIDs of the CASE framework, or the URIs that end in them."
    )


class Alignments(BaseModel):
    """Alignments of items; items that are not named keep theirs."""

    model_config = ConfigDict(extra="forbid")

    alignments: list[Alignment] = Field(min_length=1, max_length=MAX_ITEMS)


def from_json(value: Any) -> list[ItemAligned]:
    """Return the alignments of a JSON value, in order.

    Raises:
        MalformedInput, TooLarge: it is no list of alignments, or a longer one than is taken.
        BadInput: some cannot be taken; a fault names each place.
    """
    rows = value.get("alignments") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(rows, list) or not rows or len(value) > 1:
        fault = Fault("/alignments", "not-a-list", "the body is an object with `alignments`, at least one, and nothing else", "see /docs")
        raise MalformedInput(str(fault), [fault])
    _limit(len(rows), MAX_ITEMS, "/alignments", "items")
    result: list[ItemAligned] = []
    places: dict[str, str] = {}
    faults: list[Fault] = []
    for index, row in enumerate(rows):
        place = f"/alignments/{index}"
        try:
            read = Alignment.model_validate(row)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            faults.append(
                Fault(place + "".join(f"/{step}" for step in first["loc"]), first["type"].replace("_", "-"), first["msg"], "see /docs")
            )
            continue
        faults.extend(_item_faults(read.item, f"{place}/item"))
        for number, competency in enumerate(read.competencies):
            faults.extend(_competency_faults(competency, read.competencies[:number], f"{place}/competencies/{number}"))
        if read.item in places:
            faults.append(Fault(f"{place}/item", "duplicate", f"the item stands at {places[read.item]} already", "name each item once"))
        places[read.item] = place
        if not faults:
            result.append(_aligned(read.item, read.competencies))
    return _unless(faults, result)


def from_csv(content: bytes) -> list[ItemAligned]:
    """Return the alignments of a CSV file with the header `item,competency`: a row for each competency of an item.

    Raises:
        MalformedInput: it is no UTF-8, or no CSV with this header.
        TooLarge: it has more rows or items than are taken.
        BadInput: rows cannot be taken; a fault names each by its line.
    """
    rows = _rows(content)
    _limit(len(rows), MAX_ROWS, "alignments.csv", "rows")
    items: dict[str, list[str]] = {}
    faults: list[Fault] = []
    for line, row in rows:
        if len(row) != len(HEADER):
            faults.append(Fault(f"alignments.csv:{line}:1", "wrong-columns", f"{len(row)} columns, not 2", "write item,competency"))
            continue
        item, competency = row[0], competency_id_of(row[1])
        competencies = items.setdefault(item, [])
        faults.extend(_item_faults(item, f"alignments.csv:{line}:1"))
        faults.extend(_competency_faults(competency, competencies, f"alignments.csv:{line}:2"))
        if len(competencies) == MAX_COMPETENCIES:
            faults.append(Fault(f"alignments.csv:{line}:2", "too-many", f"more than {MAX_COMPETENCIES} of one item", "leave some out"))
        else:
            competencies.append(competency)
        if len(faults) >= MAX_FAULTS:
            break
    _limit(len(items), MAX_ITEMS, "alignments.csv", "items")
    return _unless(faults, [] if faults else [_aligned(item, competencies) for item, competencies in items.items()])


def _rows(content: bytes) -> list[tuple[int, list[str]]]:
    """Return the rows behind the header, each with the line that it ends on."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _malformed(
            f"alignments.csv:{content.count(bytes([10]), 0, error.start) + 1}:1", "not-utf-8", "the file is not UTF-8"
        ) from None
    if "\x00" in text:
        raise _malformed(f"alignments.csv:{text.count(chr(10), 0, text.index(chr(0))) + 1}:1", "null-character", "the file holds U+0000")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if header != HEADER:
            raise _malformed("alignments.csv:1:1", "wrong-header", f"the first line is not {','.join(HEADER)}")
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise _malformed(f"alignments.csv:{reader.line_num}:1", "not-csv", f"not CSV: {error}") from None
    if not rows:
        raise _malformed("alignments.csv:2:1", "empty", "there is no row behind the header")
    return rows


def _malformed(place: str, code: str, detail: str) -> MalformedInput:
    fault = Fault(place, code, detail, "send UTF-8 CSV with the header item,competency and a row for each competency of an item")
    return MalformedInput(str(fault), [fault])


def _limit(count: int, most: int, place: str, what: str) -> None:
    if count > most:
        fault = Fault(place, "too-many", f"{count} {what}, at most {most}", "send them in parts")
        raise TooLarge(str(fault), [fault])


def _item_faults(item: str, place: str) -> list[Fault]:
    return [] if is_iri(item) else [Fault(place, "not-an-iri", "the item is no absolute IRI", "send it like https://lms.example/items/3")]


def _competency_faults(competency: str, before: list[str], place: str) -> list[Fault]:
    if competency in before:
        return [Fault(place, "duplicate", "the item names this competency already", "name each competency of an item once")]
    if _COMPETENCY.fullmatch(competency):
        return []
    said = f"no id of a competency: 1 to {MAX_COMPETENCY} printable ASCII characters without spaces"
    return [Fault(place, "not-an-id", said, "send the CASE GUID")]


def _aligned(item: str, competencies: list[str]) -> ItemAligned:
    return ItemAligned(item_id=item_id_of(item), iri=item, competency_ids=tuple(competencies))


def _unless(faults: list[Fault], result: list[ItemAligned]) -> list[ItemAligned]:
    if faults:
        raise BadInput(f"{len(faults)} places cannot be taken, so nothing was stored. {faults[0]}", faults)
    return result
