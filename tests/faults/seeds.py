"""The evidence of the scenarios: the same for the same seed, told through the direct API as a client tells it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid5

from uuid_utils.compat import uuid7

from services.evidence.app import PARTS
from services.evidence.calendar import NoteCalendar
from services.evidence.domain import AlignItem, NoteAlias
from shared.clock import FixedClock
from shared.contracts.envelope import NAMESPACE, Origin
from shared.contracts.evidence import AliasNoted, CalendarNoted, ItemAligned
from shared.keys import item_id_of, person_alias
from shared.ledger.types import Ask
from shared.serve import SearchPool, build
from shared.settings import load_settings

SOURCE = "https://gradebook.example"
LEARNERS, COMPETENCIES, ITEMS = 40, 12, 60
KNOWN = 60
"""Learners that evidence knows; the first ones are those that quizzes are drawn for."""
IN_A_ROW = 10
"""Answers of one learner in a request: a quiz."""
START = datetime(2026, 3, 2, 8, tzinfo=UTC)
KNOWN_FROM = date(2025, 12, 1)
"""The first day of courses: all quizzes here are later, and those of a district's year before (`district.EARLY`) wait."""
SPAN = 200 * 24 * 60
"""Minutes from START within which quizzes happen."""
RIGHT = 0.8
LATE = 0.1
"""Share of quizzes that happened long before those told already: they are weighed in their place."""


def name(kind: str, number: int) -> UUID:
    """Return the id of a thing of this number."""
    return uuid5(NAMESPACE, f"faults/{kind}/{number}")


def person(number: int) -> str:
    """Return what the source calls a learner."""
    return f"s-{number}"


def item(number: int) -> str:
    """Return an item's IRI."""
    return f"https://items.example/{number}"


def competency(number: int) -> str:
    """Return the competency that an item is about."""
    return str(name("competency", number % COMPETENCIES))


def know(url: str, learners: int = KNOWN) -> None:
    """Let evidence know so many learners, the items, and when courses began, so that what is told is recorded at once."""
    key = bytes.fromhex("22" * 32)
    facts: list[Any] = [NoteCalendar(CalendarNoted(first_day=KNOWN_FROM))]
    facts += [NoteAlias(AliasNoted(alias=person_alias(key, SOURCE, person(n)), learner_id=name("learner", n))) for n in range(learners)]
    facts += [
        AlignItem(ItemAligned(item_id=item_id_of(item(n)), iri=item(n), competency_ids=(competency(n),))) for n in range(ITEMS)
    ]  # fmt: skip
    request = str(uuid7())

    async def tell() -> None:
        settings = load_settings(PARTS.settings, database_url=url, parking_key="11" * 32, district_key="22" * 32)
        service = build(PARTS, settings, FixedClock(START), partial(SearchPool()))
        async with service.pool:
            await service.ledger.open()
            await service.ledger.handle([Ask(fact, Origin(request, request), n) for n, fact in enumerate(facts)])

    asyncio.run(tell())


def quizzes(seed: int, first: int = 0, learners: int = LEARNERS) -> Iterator[list[dict[str, Any]]]:
    """Yield one quiz after another without end, of learners who are drawn, each the items of one request."""
    draw = random.Random(f"quizzes {seed} {first}")
    number = first
    while True:
        learner = draw.randrange(learners)
        at = START + timedelta(minutes=30 * number % SPAN) - (timedelta(days=draw.randint(1, 60)) if draw.random() < LATE else timedelta())
        yield [
            act(f"{seed}-{number}-{n}", learner, draw.randrange(ITEMS), draw.random() < RIGHT, at + timedelta(minutes=n))
            for n in range(IN_A_ROW)
        ]
        number += 1


def act(id: str, learner: int, about: int, right: bool, at: datetime, **more: Any) -> dict[str, Any]:
    """Return one act of assessment as the direct API takes it."""
    occurred = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told = {"id": id, "source": SOURCE, "learner": person(learner), "item": item(about), "occurred_at": occurred, "share": int(right)}
    return told | more
