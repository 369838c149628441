"""Reads the read tables, and says what stands in them. Lists come in the order of ids, one row more than asked for where more follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import sqrt
from typing import Any, Final
from uuid import UUID

from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field

from services.mastery.calibration import CALIBRATION, DEFAULT, Calibration
from services.mastery.explain import Estimate, Known, answers_needed, estimate, missing, sentence, unmet
from services.mastery.filter import Normal
from services.mastery.framework import EMPTY, FRAMEWORK, Framework
from services.mastery.state import minute_of
from shared.contracts.envelope import MICRO
from shared.contracts.mastery import Competency, Level
from shared.exact import micro
from shared.parameters import Parameters

_COLUMNS: Final = """
    e.competency_id, e.mean_e6, e.variance_e6, e.scored, e.items, e.days, e.last_minute, e.evidence_id,
    l.level, l.changed_at, l.evidence_ids, l.settings
    FROM competency_estimate e LEFT JOIN level l USING (learner_id, competency_id)
"""
_LIST: Final = f"SELECT {_COLUMNS} WHERE e.learner_id = %s AND e.competency_id > %s ORDER BY e.competency_id LIMIT %s"
_ONE: Final = f"SELECT {_COLUMNS} WHERE e.learner_id = %s AND e.competency_id = %s"
_LEARNER: Final = "SELECT * FROM learner_estimate WHERE learner_id = %s"
_LEVELS: Final = "SELECT competency_id, level FROM level WHERE learner_id = %s AND competency_id = ANY(%s)"
_CHANGES: Final = """
    SELECT version, competency_id, level, before, probability_e6, evidence_ids, changed_at FROM level_change
    WHERE learner_id = %s AND version < %s ORDER BY version DESC LIMIT %s
"""
Row = Mapping[str, Any]


class CompetencyView(BaseModel):
    """What is known of a learner's competency now."""

    competency_id: str
    code: str = Field(default="", description="As the framework in force calls it.")
    level: Level
    mean_e6: int = Field(description="Of the logit of an answer to the reference item, in millionths.")
    sd_e6: int = Field(description="Standard deviation of that logit, in millionths.")
    success_e6: int = Field(description="Success rate expected on the reference item, in millionths.")
    probability_e6: int = Field(description="Probability that the success rate is above the policy's bar, in millionths.")
    scored: int = Field(description="Scored events.")
    items: int = Field(description="Distinct items, counted up to 3.")
    days: int = Field(description="Distinct days.")


class Contribution(BaseModel):
    """A part of the expectation."""

    part: str = Field(description="`item`, `learner`, `competency`, `form` or `same-item`.")
    logit_e6: int
    decides: bool = Field(description="Whether the level rests on it.")
    words: str


class Prerequisite(BaseModel):
    """A competency that comes before."""

    competency_id: str
    code: str = ""
    level: Level
    met: bool


class Why(CompetencyView):
    """Why a competency stands as it does: in words for teachers, in numbers for auditors."""

    learner_id: UUID
    statement: str = ""
    words: str
    since: datetime | None = Field(default=None, description="When this level was first told; null before any was.")
    contributions: list[Contribution]
    bar_e6: int = Field(description="Success rate on the reference item that counts as knowing.")
    certainty_e6: int = Field(description="Probability asked for.")
    missing: list[str] = Field(description="What stands between the learner and `mastered`, in words.")
    right_answers_needed: int | None = Field(description="Right answers to short items at standard difficulty; null where 20 would not do.")
    prerequisites: list[Prerequisite]
    last_evidence_id: UUID | None = None
    evidence_ids: list[UUID] = Field(description="The evidence that the level was last decided with.")
    framework_id: str | None
    calibration_id: str | None = Field(description="Numbers and policy; null for those that ship with the release.")
    settings: int = Field(description="Version of mastery's settings at the level's last change; 0 before any.")


class ChangeView(BaseModel):
    """A change of what people are told."""

    competency_id: str
    level: Level
    before: Level
    probability_e6: int
    evidence_ids: list[UUID]
    changed_at: datetime
    version: int = Field(description="Of the learner's stream.")


class FrameworkView(BaseModel):
    """The framework in force."""

    framework_id: str | None
    competencies: int
    assessable: int
    prerequisites: int = Field(description="Links between a competency and one that comes before it.")
    subjects: dict[str, int]
    grades: dict[str, int]


class Queries:
    """Answers from the read tables and the parameters in force."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def competencies_of(
        self, learner_id: UUID, after: str, limit: int, parameters: Parameters, now: datetime
    ) -> list[CompetencyView]:  # fmt: skip
        """Return what is known of a learner's competencies, in the order of their ids."""
        rows = await self._read(_LIST, learner_id, after, limit)
        learner = await self._read(_LEARNER, learner_id)
        calibration, framework = parameters.get(CALIBRATION) or DEFAULT, parameters.get(FRAMEWORK) or EMPTY
        views = []
        for row in rows:
            known = _known(row, learner, calibration)
            views.append(CompetencyView(**_plain(row["competency_id"], known, estimate(known, minute_of(now), calibration), framework)))
        return views

    async def why(self, learner_id: UUID, competency_id: str, parameters: Parameters, now: datetime) -> Why | None:
        """Return why a competency stands as it does; None where neither the framework nor any evidence names it."""
        calibration, framework = parameters.get(CALIBRATION) or DEFAULT, parameters.get(FRAMEWORK) or EMPTY
        found = await self._read(_ONE, learner_id, competency_id)
        if not found and competency_id not in framework.competencies:
            return None
        learner = await self._read(_LEARNER, learner_id)
        before = framework.prerequisites.get(competency_id, ())
        levels = {row["competency_id"]: Level(row["level"]) for row in await self._read(_LEVELS, learner_id, list(before))}
        row: Row = found[0] if found else {}
        known = _known(row, learner, calibration)
        waiting = unmet(competency_id, framework, levels)
        shown = estimate(known, minute_of(now), calibration)
        names = [_named(name, framework) for name in waiting] if framework.competencies else None
        lacks = missing(known, shown, names, calibration)
        more, policy = answers_needed(known, shown, calibration), calibration.policy
        return Why(
            **_plain(competency_id, known, shown, framework), learner_id=learner_id,
            statement=framework.competencies[competency_id].statement if competency_id in framework.competencies else "",
            words=sentence(known, shown, lacks, more, policy), since=row.get("changed_at"),
            contributions=_contributions(known, shown, calibration),
            bar_e6=micro(policy.bar), certainty_e6=micro(policy.certainty), missing=lacks, right_answers_needed=more,
            prerequisites=[
                Prerequisite(
                    competency_id=name, code=_code(name, framework), level=levels.get(name, Level.UNKNOWN), met=name not in waiting
                ) for name in before
            ],
            last_evidence_id=row.get("evidence_id"), evidence_ids=row.get("evidence_ids") or [], settings=row.get("settings") or 0,
            framework_id=parameters.id_of(FRAMEWORK), calibration_id=parameters.id_of(CALIBRATION),
        )  # fmt: skip

    async def changes_of(self, learner_id: UUID, before: int, limit: int) -> list[ChangeView]:
        """Return how a learner's levels changed, the latest first, from those below the stream's version `before`."""
        return [ChangeView(**row) for row in await self._read(_CHANGES, learner_id, before, limit)]

    async def _read(self, statement: str, *values: Any) -> Sequence[Row]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement.encode(), values)
            rows: list[dict[str, Any]] = await cursor.fetchall()
            return rows


def framework_view(parameters: Parameters) -> FrameworkView:
    """Return a summary of the framework in force; nothing is in it before one was imported."""
    framework = parameters.get(FRAMEWORK) or EMPTY
    subjects: dict[str, int] = {}
    grades: dict[str, int] = {}
    for known in framework.competencies.values():
        subjects[known.subject] = subjects.get(known.subject, 0) + 1
        for grade in known.grades:
            grades[grade] = grades.get(grade, 0) + 1
    return FrameworkView(
        framework_id=parameters.id_of(FRAMEWORK), competencies=len(framework.competencies),
        assessable=sum(known.assessable for known in framework.competencies.values()),
        prerequisites=sum(len(known.prerequisites) for known in framework.competencies.values()),
        subjects=dict(sorted(subjects.items())), grades=dict(sorted(grades.items())),
    )  # fmt: skip


def competencies_in(parameters: Parameters, subject: str | None, grade: str | None, after: str, limit: int) -> list[Competency]:
    """Return competencies of the framework in force, in the order of their ids, from those behind `after`."""
    framework = parameters.get(FRAMEWORK) or EMPTY
    found = []
    for known in framework.competencies.values():
        if known.id > after and (subject is None or known.subject == subject.lower()) and (grade is None or grade in known.grades):
            found.append(known)
            if len(found) == limit:
                break
    return found


def _known(row: Row, learner: Sequence[Row], calibration: Calibration) -> Known:
    """Return what the rows hold; before any evidence, what the calibration begins with."""
    numbers = calibration.numbers
    if learner:
        general, form = (Normal(learner[0][f"{part}_mean_e6"] / MICRO, learner[0][f"{part}_variance_e6"] / MICRO) for part in _PARTS)
    else:
        general, form = Normal(0.0, numbers.general_variance), Normal(0.0, numbers.form_variance)
    if not row:
        return Known(general, form, Normal(0.0, numbers.competency_variance), 2**32, 0, 0, 0, Level.UNKNOWN)
    competency = Normal(row["mean_e6"] / MICRO, row["variance_e6"] / MICRO)
    level = Level(row["level"]) if row["level"] else Level.UNKNOWN
    return Known(general, form, competency, row["last_minute"], row["scored"], row["items"], row["days"], level)


_PARTS: Final = ("general", "form")


def _plain(competency_id: str, known: Known, shown: Estimate, framework: Framework) -> dict[str, Any]:
    return {
        "competency_id": competency_id, "code": _code(competency_id, framework), "level": known.level, "mean_e6": micro(shown.logit.mean),
        "sd_e6": micro(sqrt(shown.logit.variance)), "success_e6": micro(shown.success), "probability_e6": shown.probability_e6,
        "scored": known.scored, "items": known.items, "days": known.days,
    }  # fmt: skip


def _contributions(known: Known, shown: Estimate, calibration: Calibration) -> list[Contribution]:
    parts = (
        ("item", calibration.reference_easiness, True, "how easy a standard item is for everybody"),
        ("learner", known.general.mean, True, "how this learner does across all competencies"),
        ("competency", shown.competency.mean, True, "what work on this competency adds, faded to now"),
        ("form", known.form.mean, False, "how the latest work went beside what was expected; the level leaves it out"),
        ("same-item", 0.0, False, "remembering an item seen before; a standard item is new"),
    )
    return [Contribution(part=part, logit_e6=micro(logit), decides=decides, words=words) for part, logit, decides, words in parts]


def _code(competency_id: str, framework: Framework) -> str:
    known = framework.competencies.get(competency_id)
    return known.code if known else ""


def _named(competency_id: str, framework: Framework) -> str:
    return _code(competency_id, framework) or competency_id
