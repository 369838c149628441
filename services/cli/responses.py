"""Reads recorded responses from CSV or Parquet, for calibrating: each thing wrong is named with its row, and what to do about it."""

from __future__ import annotations

import csv
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.cli.sheet import SECONDS_PER_DAY, days_of, opened, text_of
from services.mastery.fitting.columns import NO_ITEM, Responses
from shared.contracts.evidence import Kind
from shared.errors import BadInput, Fault

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "learner": ("learner", "learner_id", "user_id", "student_id", "student", "user"),
    "item": ("item", "item_id", "problem_id", "question_id", "problem"),
    "competencies": ("competencies", "competency", "competency_id", "skill_id", "skill_ids", "skills", "skill"),
    "score": ("score", "correct"),
    "time": ("time", "occurred_at", "timestamp"),
    "kind": ("kind",),
}
"""Column -> the names it may have; the first one that the file has is taken."""
NEEDED: Final = ("learner", "competencies", "score")
LINKED: Final = (";", "|")
"""What stands between the competencies of one response; the first one that is there."""
MAX_FAULTS: Final = 20
"""Named one by one; all are counted."""
MAX_ROWS: Final = 50_000_000
MAX_AHEAD_DAYS: Final = 1.0
"""How far the clock of whoever recorded the responses may be ahead of ours."""
MAX_NAME: Final = 64
"""Characters of a competency's id, as in a framework."""
MAX_LINKS: Final = 16
"""Competencies of one response, as in evidence."""


@dataclass
class Data:
    """What a file holds."""

    responses: Responses
    groups: dict[str, tuple[str, ...]]
    """Column -> the value of each learner, from their first row. Read for reports only."""
    rows: int
    joined: int
    """Rows that were further competencies of the response before them."""


@dataclass
class _Columns:
    """Rows as they were read, in the order of the file."""

    learner: list[int] = field(default_factory=list)
    item: list[int] = field(default_factory=list)
    links: list[tuple[int, ...]] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    day: list[float] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    row: list[int] = field(default_factory=list)


class _Names(dict[str, int]):
    """Numbers names in the order in which they are first seen."""

    def __missing__(self, name: str) -> int:
        self[name] = number = len(self)
        return number


def read(path: Path, groups: Sequence[str] = ()) -> Data:
    """Return the responses of a CSV file (`,`, tab or `;`; `.gz` too) or a Parquet file.

    Rows that follow one another with the same learner, item, time and score, each with another competency, are one response.

    Args:
        groups: columns by which a report compares learners.

    Raises:
        BadInput: columns are missing, or rows are wrong; the first ones are named.
    """
    header, rows = opened(path)
    places = _places(path, header, groups)
    return _Reader(path, places, groups).read(rows)


def _places(path: Path, header: Sequence[str], groups: Sequence[str]) -> dict[str, int]:
    """Return where each column stands; those that the file does not have are left out."""
    lower = [name.lower() for name in header]
    found = {}
    for column, names in NAMES.items():
        known = next((name for name in names if name in lower), None)
        if known is not None:
            found[column] = lower.index(known)
    twice = [name for name, count in Counter(lower).items() if count > 1 and name in {lower[place] for place in found.values()}]
    faults = [Fault(f"{path.name}:1", "twice", f"two columns are called `{name}`", "take one of them away") for name in twice]
    faults += [
        Fault(f"{path.name}:1", "missing", f"no column `{column}`", f"name it {' or '.join(f'`{name}`' for name in NAMES[column])}")
        for column in NEEDED if column not in found
    ]  # fmt: skip
    for name in groups:
        if name.lower() not in lower:
            faults.append(Fault(f"{path.name}:1", "missing", f"no column `{name}` to compare groups by", "name one that is there"))
        else:
            found[f"group {name}"] = lower.index(name.lower())
    if faults:
        raise BadInput(f"{path.name} {'has columns twice' if twice else 'lacks columns'}; it has {', '.join(header)}", faults)
    return found


class _Reader:
    """Makes columns of rows, and collects what is wrong with them."""

    def __init__(self, path: Path, places: Mapping[str, int], groups: Sequence[str]) -> None:
        self._path, self._places, self._groups = path, places, groups
        self._faults: list[Fault] = []
        self._wrong = self._rows = 0
        self._learners, self._items, self._competencies, self._kinds = _Names(), _Names(), _Names(), _Names()
        self._group: dict[str, list[str]] = {name: [] for name in groups}
        self._columns = _Columns()

    def read(self, rows: Iterable[list[Any]]) -> Data:
        """Return what the rows hold."""
        number = 1
        try:
            for number, row in enumerate(rows, 2):
                if number > MAX_ROWS:
                    raise BadInput(f"{self._path.name} has more than {MAX_ROWS:,} rows: take fewer learners")
                if row:
                    self._take(number, row)
        except csv.Error as error:
            self._fault(number + 1, "csv", str(error), "quote fields that hold quotes or line ends")
        self._refuse_wrong()
        return self._data()

    def _refuse_wrong(self) -> None:
        if self._wrong:
            raise BadInput(
                f"{self._path.name}: {self._wrong:,} of {self._rows:,} rows are wrong"
                + (f", the first {len(self._faults)} are named" if self._wrong > len(self._faults) else ""), self._faults,
            )  # fmt: skip

    def _take(self, number: int, row: list[Any]) -> None:
        self._rows += 1
        try:
            learner, score, links = self._learner(row), self._score(row), self._links(row)
            day, kind = self._day(row), self._kind(row)
        except (ValueError, LookupError) as error:
            self._fault(number, *_told(error))
            return
        item = text_of(self._cell(row, "item"))
        columns, known = self._columns, len(self._learners)
        columns.learner.append(self._learners[learner])
        columns.item.append(self._items[item] if item else NO_ITEM)
        columns.links.append(tuple(dict.fromkeys(self._competencies[name] for name in links)))
        columns.score.append(score)
        columns.day.append(day)
        columns.kind.append(self._kinds[kind])
        columns.row.append(number)
        if len(self._learners) > known:
            for name in self._groups:
                self._group[name].append(text_of(row[self._places[f"group {name}"]]) or "(none)")

    def _cell(self, row: list[Any], column: str) -> Any:
        place = self._places.get(column)
        if place is None:
            return None
        if place >= len(row):
            raise LookupError("short", f"the row has {len(row)} fields, `{column}` is number {place + 1}", "complete or remove the row")
        return row[place]

    def _learner(self, row: list[Any]) -> str:
        learner = text_of(self._cell(row, "learner"))
        if not learner:
            raise LookupError("missing", "names no learner", "complete or remove the row")
        return learner

    def _score(self, row: list[Any]) -> float:
        told = self._cell(row, "score")
        try:
            score = float(told)
        except (TypeError, ValueError):
            raise LookupError("score", f"the score `{_short(told)}` is no number", "give a share of the possible score, 0 to 1") from None
        if not 0.0 <= score <= 1.0:  # Not a number is none of both.
            raise LookupError("score", f"the score {score:g} is not from 0 to 1", "divide it by the possible score") from None
        return score

    def _links(self, row: list[Any]) -> list[str]:
        told = self._cell(row, "competencies")
        if isinstance(told, list):
            names = [text_of(name) for name in told]
        else:
            text = text_of(told)
            sign = next((sign for sign in LINKED if sign in text), LINKED[0])
            names = [name.strip() for name in text.split(sign)]
        names = [name for name in names if name]
        if not names:
            raise LookupError("missing", "names no competency", "align it, or remove the row")
        if len(names) > MAX_LINKS:
            raise LookupError("too-many", f"{len(names)} competencies, at most {MAX_LINKS}", "name those that it is evidence about")
        if any(len(name) > MAX_NAME for name in names):
            raise LookupError("too-long", f"a competency's id has more than {MAX_NAME} characters", "use ids of the framework")
        return names

    def _day(self, row: list[Any]) -> float:
        told = self._cell(row, "time")
        if "time" not in self._places:
            return 0.0
        day = days_of(told)
        if day is None or not math.isfinite(day):
            raise LookupError("time", f"`{_short(told)}` is no time", "give ISO 8601, or seconds since 1970; or leave the column out")
        return day

    def _kind(self, row: list[Any]) -> str:
        told = text_of(self._cell(row, "kind")) or Kind.ITEM.value
        if told not in list(Kind):
            raise LookupError("kind", f"there is no kind `{_short(told)}`", f"give one of {', '.join(Kind)}")
        return told

    def _fault(self, row: int, code: str, detail: str, remedy: str = "") -> None:
        self._wrong += 1
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(Fault(f"{self._path.name}:{row}", code, detail, remedy))

    def _data(self) -> Data:
        columns = self._columns
        if not columns.score:
            raise BadInput(f"{self._path.name} has no responses: a row for each is needed")
        learner, day = np.array(columns.learner), np.array(columns.day)
        self._check_days(day)
        has_clock = bool((day != day[0]).any())
        order = np.lexsort((np.array(columns.row), day, learner)) if has_clock else np.argsort(learner, kind="stable")
        kept, links = self._joined(order.tolist())
        take = np.array(kept)
        responses = Responses(
            tuple(self._learners), tuple(self._items), tuple(self._competencies), learner[take], np.array(columns.item)[take],
            np.array([link for one in links for link in one]), np.concatenate(([0], np.cumsum([len(one) for one in links]))),
            np.array(columns.score)[take], day[take] if has_clock else np.zeros(len(take)), np.array(columns.kind)[take],
            tuple(self._kinds), np.array(columns.row)[take], has_clock,
        )  # fmt: skip
        groups = {name: tuple(values) for name, values in self._group.items()}
        return Data(responses, groups, self._rows, self._rows - len(kept))

    def _check_days(self, day: NDArray[np.float64]) -> None:
        """Raise BadInput where times lie before 1970 or in the future."""
        latest = time.time() / SECONDS_PER_DAY + MAX_AHEAD_DAYS
        for at in np.flatnonzero((day < 0) | (day > latest)).tolist():
            detail = "the time lies before 1970" if day[at] < 0 else "the time lies in the future"
            remedy = "give ISO 8601, or seconds or milliseconds since 1970; or leave the column out"
            self._fault(self._columns.row[at], "time", detail, remedy)
        self._refuse_wrong()

    def _joined(self, order: list[int]) -> tuple[list[int], list[tuple[int, ...]]]:
        """Return the rows that are responses, and the competencies of each."""
        columns = self._columns
        kept: list[int] = []
        links: list[tuple[int, ...]] = []
        last: tuple[Any, ...] | None = None
        for at in order:
            item = columns.item[at]
            this = (columns.learner[at], item, columns.day[at], columns.score[at], columns.kind[at])
            own = columns.links[at]
            if this == last and item != NO_ITEM and not set(own) & set(links[-1]) and len(own) + len(links[-1]) <= MAX_LINKS:
                links[-1] += own
            else:
                kept.append(at)
                links.append(own)
            last = this
        return kept, links


def _short(value: Any) -> str:
    return str(value)[:MAX_NAME]


def _told(error: Exception) -> tuple[str, str, str]:
    return error.args if len(error.args) == 3 else ("wrong", str(error), "complete or remove the row")
