"""Reads the tables of profile. Lists come in the order of their ids."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from services.profile.domain import MAX_AUTHORS
from services.profile.queries.keyring import Damage, Key, Keyring, open_name, open_title, open_words
from services.profile.queries.views import (
    ClassView,
    ErasureView,
    ImportView,
    LearnerDetail,
    LearnerView,
    PreferenceView,
    SchoolView,
    Sealings,
    StaffView,
    UnderWay,
    Unread,
)
from services.profile.roster import Known
from shared.contracts.envelope import Event
from shared.contracts.profile import ClassRostered, LearnerRostered, PreferencesStated, RosterImported, SchoolRostered, StaffRostered
from shared.ledger.tables import Tables, Values

OWN_THREAD_ROWS: Final = 1_000
"""More rows are parsed beside the event loop; where there may be many, they are read as text."""

_OF_PLACE: Final = """
    (%(school)s::uuid IS NULL OR school_id = %(school)s) AND (%(class)s::jsonb IS NULL OR class_ids @> %(class)s::jsonb)
    AND (active OR %(withdrawn)s)
"""
_LEARNERS: Final = "SELECT body FROM learner WHERE learner_id > %(after)s AND" + _OF_PLACE + "ORDER BY learner_id LIMIT %(most)s"  # noqa: S608 - our own words
_STAFF: Final = "SELECT body FROM staff WHERE staff_id > %(after)s AND" + _OF_PLACE + "ORDER BY staff_id LIMIT %(most)s"  # noqa: S608 - our own words
_SCHOOLS: Final = "SELECT body FROM school WHERE school_id > %(after)s ORDER BY school_id LIMIT %(most)s"
_CLASSES: Final = """
    SELECT body FROM school_class WHERE school_id = %(school)s AND class_id > %(after)s AND (active OR %(withdrawn)s)
    ORDER BY class_id LIMIT %(most)s
"""
_LEARNER: Final = "SELECT body FROM learner WHERE learner_id = %s"
_SCHOOL: Final = "SELECT body FROM school WHERE school_id = %s"
_CLASS: Final = "SELECT 1 AS named FROM school_class WHERE class_id = %s"
_CLASSES_BY_ID: Final = "SELECT body FROM school_class WHERE class_id = ANY(%s) ORDER BY class_id"
_PREFERENCES: Final = "SELECT body FROM preference WHERE learner_id = %s ORDER BY version DESC LIMIT %s"
_ELSEWHERE: Final = """
    SELECT body::text FROM (
        SELECT DISTINCT ON (s.staff_id, e.body->>'school_id') s.school_id, e.body FROM staff s, LATERAL (
            SELECT version, convert_from(bytes, 'UTF8')::jsonb->'data' AS body FROM event
            WHERE stream = ('profile/staff/' || s.staff_id) COLLATE "C") e
        WHERE s.version > 1 ORDER BY s.staff_id, e.body->>'school_id', e.version DESC) told
    WHERE body->>'school_id' <> school_id::text AND coalesce((body->>'active')::boolean, true)"""
_IMPORTED: Final = """
    SELECT 1 AS taken FROM event WHERE stream = ('profile/roster/' || %s) COLLATE "C"
    AND (%s OR convert_from(bytes, 'UTF8')::jsonb->'data' ? 'first_session') LIMIT 1"""
_TEMPLATES: Final = """
    SELECT DISTINCT ON (source) source, person_iris FROM roster_import ORDER BY source, imported_at DESC, content_hash DESC"""
_IMPORTS: Final = """
    SELECT content_hash, source, rows, person_iris, imported_at FROM roster_import
    WHERE (imported_at, content_hash) < (%s, %s) ORDER BY imported_at DESC, content_hash DESC LIMIT %s
"""
_ERASED: Final = "SELECT learner_id, (since AT TIME ZONE 'UTC')::date AS erased_on FROM erasure WHERE erased AND learner_id = ANY(%s)"
_ALL_ERASED: Final = "SELECT learner_id, (since AT TIME ZONE 'UTC')::date AS erased_on FROM erasure WHERE erased"
_ERASURE_COLUMNS: Final = """
    SELECT e.learner_id, e.erased, e.since, e.body->>'asked_by' AS asked_by, e.body->>'why' AS why,
        coalesce(e.body->>'reference', '') AS reference, k.person_id IS NULL AS finished
    FROM erasure e LEFT JOIN person_key k ON k.person_id = e.learner_id AND k.erasures < e.version """
_ERASURE: Final = _ERASURE_COLUMNS + "WHERE e.learner_id = %s"
_ERASURES: Final = _ERASURE_COLUMNS + "WHERE (e.since, e.learner_id) < (%s, %s) ORDER BY e.since DESC, e.learner_id DESC LIMIT %s"
_SEALED: Final = """
    SELECT count(*) FILTER (WHERE data ? 'name') AS names, count(*) FILTER (WHERE data ? 'words') AS words
    FROM (SELECT convert_from(bytes, 'UTF8')::jsonb->'data' AS data FROM event WHERE stream = %s) told"""
_UNDER_WAY: Final = """
    SELECT content_hash, source, recorded_at, sum(jsonb_array_length(told))::bigint AS events_left FROM roster_step
    GROUP BY content_hash, source, recorded_at"""

T = TypeVar("T", bound=Event)


class Queries(Tables):
    """Answers from the read tables of profile; keys are read anew for each answer, so that what was erased is gone at once."""

    def __init__(self, pool: AsyncConnectionPool[Any], keyring: Keyring) -> None:
        super().__init__(pool)
        self._keyring = keyring

    async def known(self) -> Known:
        """Return everything that rosters told and that stands: what the next roster is compared with."""
        schools = await self._told(SchoolRostered, "SELECT body::text FROM school")
        classes = await self._told(ClassRostered, "SELECT body::text FROM school_class")
        staff = await self._told(StaffRostered, "SELECT body::text FROM staff")
        learners = await self._told(LearnerRostered, "SELECT body::text FROM learner")
        elsewhere: dict[UUID, list[StaffRostered]] = defaultdict(list)
        for each in await self._told(StaffRostered, _ELSEWHERE):
            elsewhere[each.staff_id].append(each)
        return Known(
            {each.school_id: each for each in schools}, {each.class_id: each for each in classes},
            {each.staff_id: each for each in staff}, {each.learner_id: each for each in learners}, elsewhere,
            await self._erased(_ALL_ERASED), {row["source"]: row["person_iris"] for row in await self.rows(_TEMPLATES)},
        )  # fmt: skip

    async def learners(self, school: UUID | None, class_id: UUID | None, withdrawn: bool, after: UUID, most: int) -> list[LearnerView]:
        """Return learners of a school and class, or of all."""
        told = await self._told(LearnerRostered, _LEARNERS, _asked(school, class_id, withdrawn, after, most))
        ids = [each.learner_id for each in told]
        keys, erased = await self._keyring.of(ids), await self._erased(_ERASED, [ids])
        return [LearnerView.model_validate(_learner(each, keys, erased)) for each in told]

    async def learner(self, learner_id: UUID) -> LearnerDetail | None:
        """Return a learner's profile, or None where no roster named her."""
        told = await self._told(LearnerRostered, _LEARNER, [learner_id])
        if not told:
            return None
        schools = await self._told(SchoolRostered, _SCHOOL, [told[0].school_id])
        classes = await self._told(ClassRostered, _CLASSES_BY_ID, [list(told[0].class_ids)])
        stated = await self._told(PreferencesStated, _PREFERENCES, [learner_id, MAX_AUTHORS])
        keys = await self._keyring.of([learner_id, *told[0].class_ids])
        return LearnerDetail(
            **_learner(told[0], keys, await self._erased(_ERASED, [[learner_id]])),
            school=_school(schools[0]) if schools else None,
            classes=[_class(each, keys) for each in classes],
            aliases=len(told[0].aliases),
            source=told[0].source,
            preferences=[_preference(each, keys.get(learner_id)) for each in stated],
        )

    async def staff(self, school: UUID | None, class_id: UUID | None, withdrawn: bool, after: UUID, most: int) -> list[StaffView]:
        """Return the staff of a school and class, or of all."""
        told = await self._told(StaffRostered, _STAFF, _asked(school, class_id, withdrawn, after, most))
        keys = await self._keyring.of([each.staff_id for each in told])
        return [
            StaffView.model_validate(_person(each, keys.get(each.staff_id)) | {"staff_id": each.staff_id, "subjects": each.subjects})
            for each in told
        ]

    async def schools(self, after: UUID, most: int) -> list[SchoolView]:
        """Return the schools."""
        return [_school(each) for each in await self._told(SchoolRostered, _SCHOOLS, _asked(None, None, False, after, most))]

    async def school(self, school_id: UUID) -> SchoolView | None:
        """Return a school, or None where no roster named it."""
        return next((_school(each) for each in await self._told(SchoolRostered, _SCHOOL, [school_id])), None)

    async def has_class(self, class_id: UUID) -> bool:
        """Return whether any roster named a class."""
        return await self.row(_CLASS, [class_id]) is not None

    async def classes(self, school: UUID, withdrawn: bool, after: UUID, most: int) -> list[ClassView]:
        """Return the classes of a school."""
        told = await self._told(ClassRostered, _CLASSES, _asked(school, None, withdrawn, after, most))
        keys = await self._keyring.of([each.class_id for each in told])
        return [_class(each, keys) for each in told]

    async def is_imported(self, imported: RosterImported) -> bool:
        """Return whether this very roster was taken before, and told with its first session where it has one."""
        return await self.row(_IMPORTED, [imported.content_hash, imported.first_session is None]) is not None

    async def imports(self, before: tuple[datetime, str], most: int) -> list[ImportView]:
        """Return the rosters taken, the newest first, from before this instant and hash."""
        return await self.all(ImportView, _IMPORTS, [*before, most])

    async def erasure(self, learner_id: UUID) -> ErasureView | None:
        """Return whether a learner is erased, or was, or None where she never was."""
        found = await self.all(ErasureView, _ERASURE, [learner_id])
        return found[0] if found else None

    async def erasures(self, before: tuple[datetime, UUID], most: int) -> list[ErasureView]:
        """Return the learners who are erased, or were, the latest first, from before this instant and id."""
        return await self.all(ErasureView, _ERASURES, [*before, most])

    async def sealings(self, learner_id: UUID) -> Sealings:
        """Return how many texts the record of a learner holds sealed under her key, whether it is there or not."""
        return (await self.all(Sealings, _SEALED, [f"profile/learner/{learner_id}"]))[0]

    async def _erased(self, statement: str, values: Values = ()) -> dict[UUID, date]:
        return {row["learner_id"]: row["erased_on"] for row in await self.rows(statement, values)}

    async def under_way(self) -> list[UnderWay]:
        """Return the roster that is under way, if there is one."""
        return await self.all(UnderWay, _UNDER_WAY)

    async def _told(self, kind: type[T], statement: str, values: Values = ()) -> list[T]:
        """Return what was told last, as the events' own classes."""
        bodies = [row["body"] for row in await self.rows(statement, values)]
        if len(bodies) <= OWN_THREAD_ROWS:
            return [_parsed(kind, body) for body in bodies]
        return await asyncio.to_thread(lambda: [_parsed(kind, body) for body in bodies])


def _parsed(kind: type[T], body: str | Mapping[str, Any]) -> T:
    """Return what a body holds; one that was read as text is parsed here, and not by whoever waits for the database on the event loop."""
    return kind.model_validate_json(body) if isinstance(body, str) else kind.model_validate(body)


def _asked(school: UUID | None, class_id: UUID | None, withdrawn: bool, after: UUID, most: int) -> dict[str, Any]:
    only = None if class_id is None else Jsonb([str(class_id)])
    return {"school": school, "class": only, "withdrawn": withdrawn, "after": after, "most": most}


def _person(told: LearnerRostered | StaffRostered, key: Key | None) -> dict[str, Any]:
    opened = open_name(key, told.name)
    given, family = ("", "") if isinstance(opened, Damage) else opened
    place = {"school_id": told.school_id, "class_ids": told.class_ids, "active": told.active}
    return {"given_name": given, "family_name": family, "unreadable": _unread(opened)} | place


def _unread(opened: object) -> Unread | None:
    return Unread(code=opened.code, detail=opened.detail, remedy=opened.remedy) if isinstance(opened, Damage) else None


def _text(opened: str | Damage, name: str) -> dict[str, Any]:
    return {name: "" if isinstance(opened, Damage) else opened, "unreadable": _unread(opened)}


def _learner(told: LearnerRostered, keys: Mapping[UUID, Key], erased: Mapping[UUID, date]) -> dict[str, Any]:
    id = told.learner_id
    return _person(told, keys.get(id)) | {"learner_id": id, "grade": told.grade, "erased_on": erased.get(id)}


def _school(told: SchoolRostered) -> SchoolView:
    return SchoolView(school_id=told.school_id, title=told.title, term_starts=told.term_starts, term_ends=told.term_ends)


def _class(told: ClassRostered, keys: Mapping[UUID, Key]) -> ClassView:
    plain = told.model_dump(include=set(ClassView.model_fields) - {"title"})
    return ClassView.model_validate(plain | _text(open_title(keys.get(told.class_id), told.title), "title"))


def _preference(told: PreferencesStated, key: Key | None) -> PreferenceView:
    plain = told.model_dump(include=set(PreferenceView.model_fields) - {"words"})
    return PreferenceView.model_validate(plain | _text(open_words(key, told.words), "words"))
