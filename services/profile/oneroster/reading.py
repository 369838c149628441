"""A whole file set: manifest, tables, and what they say of one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.profile.oneroster.archive import members
from services.profile.oneroster.columns import FILES, MANIFEST, OTHER_FILES, Column, Form
from services.profile.oneroster.faults import Faults
from services.profile.oneroster.table import Row, header_fits, listed, raw_rows, read_table, text_of
from shared.contracts.envelope import canonical, digest

_VERSIONS: Final = {"manifest.version": "1.0", "oneroster.version": "1.2"}
_OLDER: Final = ("1.0", "1.1")
_OLDER_COLUMNS: Final = frozenset({"role", "orgSourcedIds"})
"""Of users.csv, which 1.2 has in roles.csv."""
_LOOKED_AT: Final = 4_096
"""Bytes of a file by which its version is told."""
_MODES: Final = ("bulk", "delta", "absent")


@dataclass(frozen=True, slots=True)
class Roster:
    """The rows of a file set that holds together, by file name, and the hash of what was read."""

    tables: Mapping[str, list[Row]]
    content_hash: str
    """Of the files' contents: packing the same files again gives the same hash."""

    def __getitem__(self, file: str) -> list[Row]:
        return self.tables[file]

    @property
    def rows(self) -> int:
        return sum(len(table) for table in self.tables.values())


def read(content: bytes) -> Roster:
    """Return what a OneRoster 1.2 ZIP in bulk mode holds.

    Raises:
        MalformedInput: no plain ZIP, or its manifest and its files do not agree.
        TooLarge: larger than a limit of `archive`.
        BadInput: rows that cannot be taken, each named by file, line and column.
    """
    found = members(content)
    faults = Faults()
    _check_age(found, faults)
    faults.check("the file set is of an older OneRoster")
    _check_manifest(found, faults)
    faults.check("the file set does not agree with its manifest")
    known: dict[str, str] = {}
    tables = {file: read_table(file, found[file], columns, faults, known) for file, columns in FILES.items()}
    faults.check("the roster cannot be taken")
    for file, columns in FILES.items():
        _check_references(file, columns, tables, faults)
    _check_sense(tables, faults)
    faults.check("the roster does not hold together")
    return Roster(tables, digest(canonical([[file, digest(found[file])] for file in FILES])))


def _check_age(found: Mapping[str, bytes], faults: Faults) -> None:
    """Check that it is no export of OneRoster 1.1, of which whatever else could be said would lead astray. A set with roles.csv, which came
    with 1.2, may still have a wrong version in its manifest."""
    users, values = _cells(found.get("users.csv", b""))[:1], dict(row[:2] for row in _cells(found.get(MANIFEST, b"")) if len(row) > 1)
    version = values.get("oneroster.version", "")
    if users and _OLDER_COLUMNS.issubset(users[0]):
        place, column = "users.csv", "role"
    elif version in _OLDER and "roles.csv" not in found:
        place, column = MANIFEST, "oneroster.version"
    else:
        return
    said = f"this is an export of OneRoster {version if version in _OLDER else '1.1'}, whose files and columns differ"
    faults.add(
        place, None, column, "older-version", said, "have the SIS export OneRoster 1.2 (CSV, bulk); to edit the manifest does not help"
    )


def _cells(content: bytes) -> list[list[str]]:
    """Return the first rows of a file as far as they can be read; what is wrong with it is found later."""
    text = content[:_LOOKED_AT].decode("utf-8-sig", "replace").replace("\0", "")
    return [cells for _, cells in raw_rows("", text, Faults())]


def _check_manifest(found: Mapping[str, bytes], faults: Faults) -> None:
    """Check that the manifest says what the ZIP holds, and the other way round."""
    if MANIFEST not in found:
        faults.add(MANIFEST, None, None, "missing-file", "the ZIP has no manifest.csv", "pack it beside the other files")
        return
    values = _properties(found[MANIFEST], faults)
    if values is None:
        return
    for name, version in _VERSIONS.items():
        line, value = values.get(name, (None, ""))
        if value != version:
            faults.add(MANIFEST, line, name, "version", f"it must be {version}", f"this is read as OneRoster 1.2: set {name} to {version}")
    for name, (line, value) in values.items():
        if name.startswith("file."):
            _check_mode(name, line, value, found, faults)
    for file in FILES:
        if f"file.{file[:-4]}" not in values:
            what = f"file.{file[:-4]} is not in the manifest"
            faults.add(MANIFEST, None, f"file.{file[:-4]}", "missing-property", what, "a roster needs this file: set it to bulk")
    for file in sorted(found.keys() - {MANIFEST}):
        if file in OTHER_FILES and f"file.{file[:-4]}" not in values:
            faults.add(file, None, None, "unlisted-file", "the manifest does not name it", "name it, or take it out")


def _check_mode(name: str, line: int, value: str, found: Mapping[str, bytes], faults: Faults) -> None:
    file = f"{name.removeprefix('file.')}.csv"
    if file not in FILES and file not in OTHER_FILES:
        faults.add(MANIFEST, line, "propertyName", "unknown-file", "no file of the OneRoster 1.2 binding", "take the line out")
    elif value not in _MODES:
        faults.add(MANIFEST, line, name, "unknown-word", "not a mode of a file", "use one of bulk, delta, absent")
    elif value == "delta":
        faults.add(MANIFEST, line, name, "delta", "delta files are not taken yet", "delta comes later: export and send the set as bulk")
    elif value == "bulk" and file not in found:
        faults.add(MANIFEST, line, name, "missing-file", f"{file} is not in the ZIP", "pack it, or set the property to absent")
    elif value == "absent" and file in found:
        faults.add(MANIFEST, line, name, "unlisted-file", f"{file} is in the ZIP all the same", "set the property to bulk, or take it out")
    elif value == "absent" and file in FILES:
        faults.add(
            MANIFEST, line, name, "needed-file", f"a roster needs {file}", "export it, with its header alone where there are no rows"
        )


def _properties(content: bytes, faults: Faults) -> dict[str, tuple[int, str]] | None:
    """Return the manifest's properties as name -> (line, value), or None where it is no table of two columns."""
    text = text_of(MANIFEST, content, faults)
    if text is None:
        return None
    rows = raw_rows(MANIFEST, text, faults)
    _, header = next(rows, (1, []))
    if faults.total or not header_fits(MANIFEST, header, ["propertyName", "value"], faults):
        return None
    values: dict[str, tuple[int, str]] = {}
    for line, cells in rows:
        if len(cells) != len(header):
            faults.add(MANIFEST, line, None, "cells", f"{len(cells)} cells, the header has {len(header)}", "write name and value")
        elif cells[0] in values:
            faults.add(MANIFEST, line, "propertyName", "duplicate-id", f"line {values[cells[0]][0]} has the same", "keep one of the lines")
        else:
            values[cells[0]] = (line, cells[1])
    return values


def _check_references(file: str, columns: tuple[Column, ...], tables: Mapping[str, list[Row]], faults: Faults) -> None:
    for column in columns:
        if not column.refers:
            continue
        known = {row["sourcedId"] for row in tables[column.refers]}
        for row in tables[file]:
            named = listed(row[column.name]) if column.form is Form.LIST else [row[column.name]] if row[column.name] else []
            if not known.issuperset(named):
                detail = f"it names no row of {column.refers}"
                faults.add(file, row.line, column.name, "unknown-reference", detail, f"add the row to {column.refers}, or correct the id")


def _check_sense(tables: Mapping[str, list[Row]], faults: Faults) -> None:
    """Check what rows say together: days in order, schools that are schools, everybody with a role."""
    for file, first in (("academicSessions.csv", "startDate"), ("roles.csv", "beginDate"), ("enrollments.csv", "beginDate")):
        for row in tables[file]:
            if row[first] and row["endDate"] and row["endDate"] < row[first]:
                faults.add(file, row.line, "endDate", "date-order", f"it lies before {first}", "correct one of the dates")
    schools = {row["sourcedId"] for row in tables["orgs.csv"] if row["type"] == "school"}
    orgs = {row["sourcedId"] for row in tables["orgs.csv"]}
    classes = {row["sourcedId"]: row["schoolSourcedId"] for row in tables["classes.csv"]}
    for row in tables["classes.csv"]:
        if row["schoolSourcedId"] in orgs - schools:
            faults.add("classes.csv", row.line, "schoolSourcedId", "not-a-school", "the org is no school", "name an org of type school")
    for row in tables["enrollments.csv"]:
        if row["classSourcedId"] in classes and classes[row["classSourcedId"]] != row["schoolSourcedId"]:
            detail = "the class belongs to another school"
            faults.add("enrollments.csv", row.line, "schoolSourcedId", "school-mismatch", detail, "name the school of the class")
    with_role = {row["userSourcedId"] for row in tables["roles.csv"]}
    for row in tables["users.csv"]:
        if row["sourcedId"] not in with_role:
            faults.add("users.csv", row.line, "sourcedId", "no-role", "the user has no row in roles.csv", "add one, or take the user out")
