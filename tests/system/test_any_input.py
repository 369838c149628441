"""Whatever is changed in a sound import, it is taken, or it is refused with a problem that names places and remedies; nothing breaks.

Each import and endpoint with a body gets its own, damaged in one place after another. What is refused leaves the store as it was.
"""

from __future__ import annotations

import copy
import functools
import json
import operator
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.evidence.app import PARTS as EVIDENCE
from services.mastery.app import PARTS as MASTERY
from services.mastery.calibration import CALIBRATION, DEFAULT_ENTRIES
from services.pathing.app import PARTS as PATHING
from services.profile.app import PARTS as PROFILE
from services.scheduling.app import PARTS as SCHEDULING
from shared.clock import FixedClock
from shared.contracts.scheduling import DayResources, StaffMember
from shared.keys import act_id_of, alias_of, learner_id_of
from shared.parameters import page_hash, paged, set_id_of
from shared.parts import Parts
from shared.settings_stream import adoption
from shared.stack import ServiceDatabase
from shared.testing import running
from tests.evidence import lms
from tests.evidence.lms import act, answered, envelope, graded, item_iri, put
from tests.mastery.samples import competency
from tests.mastery.test_case import item, link, package
from tests.mastery.test_publication import a_set
from tests.pathing.test_http import CATALOGUE, LEARNER, framework_told, rostered
from tests.profile.district import District, zip_of
from tests.scheduling.test_http import resources

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
DAMAGES = 120
"""Of each body; chosen by a fixed seed."""
STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 2**53, 10**30, "", " ", "x", "x" * 5000, "a\u0000b", "\u202e\u200b", "2026-02-30", "0000-00-00T00:00:00Z",
    [], {}, [None], [[]], {"": 0}, {"a\u0000": 1}, float("nan"), float("inf"),
)  # fmt: skip
ACT = act_id_of("gradebook", "known")
KEY = bytes(32)
"""The district key that tests' settings give."""
ADA = learner_id_of(KEY, alias_of(KEY, "sis", "u1"))
"""A learner of profile's roster."""
WHO = {"author_id": str(UUID(int=7)), "role": "teacher"}
JUDGED = WHO | {"reason": "other", "words": {"cipher": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=", "mac": "a" * 64}}
OVERRIDE = JUDGED | {"level": "mastered", "until": "2026-12-01T00:00:00Z"}
OVERRIDDEN = f"/mastery/learners/{LEARNER}/competencies/{competency(1)}/override"
WAIVED = f"/mastery/learners/{LEARNER}/competencies/{competency(2)}/waivers/{competency(1)}"
FRAMEWORK = package([item(1), item(2), item(3)], [link("precedes", 1, 2)])
SHIPPED = set_id_of(CALIBRATION.name, [page_hash(page) for page in paged(DEFAULT_ENTRIES)])


async def sent(service: Any, method: str, path: str, body: Any) -> Any:
    """Send a sound body and return what was answered."""
    answer = await service.client.request(method, path, json=body)
    assert 200 <= answer.status_code < 300, (path, answer.text)
    return answer.json()


async def known_to_evidence(service: Any) -> None:
    """A learner, what items are about, and a recorded act."""
    await lms.identify(service, learner=LEARNER)
    rows = [{"item": item_iri(n), "competencies": ["K"]} for n in (1, 2, 3)]
    await sent(service, "PUT", "/evidence/alignments", {"alignments": rows})
    assert (await sent(service, "POST", "/evidence", {"items": [act("known", item=3)]}))["counts"] == {"recorded": 1}


async def known_to_mastery(service: Any) -> None:
    """A framework, and a learner."""
    await sent(service, "POST", "/mastery/case/packages", FRAMEWORK)
    await service.hear(rostered())


async def known_to_pathing(service: Any) -> None:
    """A framework, activities, and a learner with a path."""
    await service.hear(*framework_told())
    await sent(service, "PUT", "/pathing/activities", CATALOGUE)
    await service.hear(rostered())


async def known_to_profile(service: Any) -> None:
    """A roster with learners."""
    answer = await service.client.post(
        "/profile/oneroster/imports?source=sis", content=District().zip(), headers={"content-type": "application/zip"}
    )
    assert answer.status_code == 200, answer.text


async def nothing(service: Any) -> None:
    """For what needs no more than an empty store."""


async def overridden(service: Any) -> None:
    await sent(service, "PUT", OVERRIDDEN, OVERRIDE)


async def waived(service: Any) -> None:
    await sent(service, "PUT", WAIVED, JUDGED)


async def shipped(service: Any) -> None:
    """Put the calibration in force that the body was held against."""
    await service.context.asker.ask(adoption("mastery", CALIBRATION, DEFAULT_ENTRIES))


async def words_to_open(service: Any) -> Any:
    sealed = await sent(service, "POST", f"/profile/learners/{ADA}/sealed", {"use": "mastery.reason", "words": "Hm"})
    return {"use": "mastery.reason", "sealed": sealed}


async def as_usual(service: Any) -> None:
    """Put the school's resources in force, without anything otherwise on a date."""
    told = {"schools": [RESOURCES["schools"][0] | {"days": []}]}
    look = await service.client.put("/scheduling/resources?dry_run=true", json=told)
    await sent(service, "PUT", f"/scheduling/resources?base={look.json()['base']}", told)


KNOWN = {
    EVIDENCE.name: known_to_evidence, MASTERY.name: known_to_mastery, PATHING.name: known_to_pathing, PROFILE.name: known_to_profile,
    SCHEDULING.name: nothing,
}  # fmt: skip
"""What a service has heard before anything is tried: enough for every sound body to be taken."""


@dataclass(frozen=True)
class Body:
    """A sound body, and where it goes."""

    parts: Parts
    method: str
    path: str
    content: Any
    """The JSON value, or what makes it of the service."""
    before: Callable[[Any], Awaitable[None]] = nothing
    """Done before each attempt, where one that is taken leaves nothing for the next."""

    @asynccontextmanager
    async def service(self, place: ServiceDatabase) -> AsyncIterator[tuple[Any, Any]]:
        """Yield the service and the JSON value, which was taken."""
        async with running(self.parts, place, clock=FixedClock(NOW)) as service:
            await KNOWN[self.parts.name](service)
            content = await self.content(service) if callable(self.content) else self.content
            await self.before(service)
            await sent(service, self.method, self.path, content)
            yield service, content

    async def refuses(self, service: Any, content: Any) -> bool:
        """Send another value; return whether it was refused, after a look at how."""
        service.context.clock.advance(timedelta(seconds=1))
        await self.before(service)
        return await tried(service, self.method, self.path, "application/json", written(content))


RESOURCES = resources(
    closed=(date(2026, 12, 24),), days=(DayResources(on=date(2026, 12, 1), closed=True, reason="snow"),),
    staff=(StaffMember(staff_id=LEARNER, subjects=("reading",), away=("p1",)),), timezone="Asia/Seoul",
)  # fmt: skip
DATE = {
    "periods": RESOURCES["schools"][0]["periods"][:2], "absent": [str(LEARNER)], "closed_spaces": ["s00"], "closed": False,
    "staff": [{"staff_id": str(UUID(int=8)), "subjects": ["reading"], "away": ["p1"]}], "reason": "half-day", "base": "",
}  # fmt: skip
BODIES: dict[str, Body] = {
    "caliper": Body(EVIDENCE, "POST", "/evidence/caliper", envelope(graded(), answered("other", item=2))),
    "acts": Body(
        EVIDENCE, "POST", "/evidence", {"items": [act(kind="quiz", duration_ms=60_000), act("a-2", item=2, share=0.5)]},
    ),
    "alignments": Body(
        EVIDENCE, "PUT", "/evidence/alignments", {"alignments": [{"item": item_iri(n), "competencies": ["K"]} for n in (1, 2)]},
    ),
    "framework": Body(MASTERY, "POST", "/mastery/case/packages", FRAMEWORK),
    "catalogue": Body(
        PATHING, "PUT", "/pathing/activities",
        {"activities": [each | {"levels": ["nearly"], "areas": ["space"], "gain_e6": 5} for each in CATALOGUE["activities"][:3]]},
    ),
    "goals": Body(
        PATHING, "POST", f"/pathing/learners/{LEARNER}/goals",
        WHO | {"goals": [{"competency_id": "A", "due": "2026-12-01", "weight_e6": 5}, {"competency_id": "B"}]},
    ),
    "choice": Body(PATHING, "POST", f"/pathing/learners/{LEARNER}/choices", {"competency_id": "A", "activity_id": "A-reading"}),
    "override": Body(MASTERY, "PUT", OVERRIDDEN, OVERRIDE),
    "override's end": Body(MASTERY, "POST", f"{OVERRIDDEN}/withdrawal", WHO, overridden),
    "waiver": Body(MASTERY, "PUT", WAIVED, JUDGED),
    "waiver's end": Body(MASTERY, "POST", f"{WAIVED}/withdrawal", JUDGED, waived),
    "policy": Body(
        MASTERY, "PUT", "/mastery/policy",
        {"policies": [{"kinds": ["quiz"], "bar_e6": 700_000}, {"family": "skill", "days": 4}], "timezone": "Asia/Seoul"},
    ),
    "restoration": Body(MASTERY, "POST", f"/mastery/calibrations/{SHIPPED}/restoration", {"why": "the new one was a mistake"}, shipped),
    "calibration": Body(MASTERY, "PUT", "/mastery/calibrations", {"entries": a_set(before_id=SHIPPED), "why": "new items"}, shipped),
    "groups": Body(MASTERY, "POST", "/mastery/equity", {"learners": [{"learner_id": str(LEARNER), "groups": {"route": "bus"}}]}),
    "correction": Body(
        EVIDENCE, "POST", f"/evidence/acts/{ACT}/correction",
        {"author_id": str(LEARNER), "cause": "appeal", "words": JUDGED["words"], "given": 1, "max": 2},
    ),
    "void": Body(EVIDENCE, "POST", f"/evidence/acts/{ACT}/void", {"author_id": str(LEARNER), "cause": "appeal", "words": JUDGED["words"]}),
    "first day": Body(EVIDENCE, "PUT", "/evidence/calendar", {"first_day": "2026-08-01", "author_id": str(LEARNER)}),
    "resources": Body(SCHEDULING, "PUT", "/scheduling/resources", RESOURCES, as_usual),
    "a school's resources": Body(
        SCHEDULING, "PUT", f"/scheduling/schools/{RESOURCES['schools'][0]['school_id']}/resources", RESOURCES["schools"][0], as_usual
    ),
    "a date of a school": Body(
        SCHEDULING, "PUT", f"/scheduling/schools/{RESOURCES['schools'][0]['school_id']}/days/2026-12-01/resources", DATE, as_usual
    ),
    "words to seal": Body(PROFILE, "POST", f"/profile/learners/{ADA}/sealed", {"use": "mastery.reason", "words": "Hm"}),
    "words to open": Body(PROFILE, "POST", f"/profile/learners/{ADA}/opened", words_to_open),
    "erasure": Body(
        PROFILE, "POST", f"/profile/learners/{ADA}/erasure", {"asked_by": "guardian", "why": "request", "reference": "DSR-2026-0114"}
    ),
    "lifted erasure": Body(
        PROFILE, "POST", f"/profile/learners/{ADA}/erasure/lifted", {"asked_by": "district", "why": "mistake", "reference": "DSR-2026-0115"}
    ),
    "preferences": Body(
        PROFILE, "POST", f"/profile/learners/{ADA}/preferences",
        WHO | {"areas": ["space"], "modalities": ["video"], "avoided": ["reading"], "words": "Hm"},
    ),
}  # fmt: skip
UNREAD: dict[str, frozenset[str]] = {
    "caliper": frozenset(
        f"data/*/{place}"
        for place in (
            "profile", "edApp", "object/count", "object/assignable/isPartOf",
            "object/assignable/isPartOf/id", "object/assignable/isPartOf/type", "generated/scoredBy",
            "generated/extensions",
        )
    ),
    "framework": frozenset({
        "CFDocument/subject", "CFItems/*/educationLevel", "CFItems/*/uri", "CFItems/*/lastChangeDateTime", "CFAssociations/*/identifier",
        *(f"CFAssociations/*/{end}NodeURI/{name}" for end in ("origin", "destination") for name in ("uri", "title")),
    }),
    "calibration": frozenset({"entries/*/folds", "entries/*/first_at", "entries/*/last_at"}),
}  # fmt: skip
"""Places that nothing rests on here: not read, or taken as if they were not told where they are of another type."""


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value inside a JSON value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*at, key)
        yield from places(inner, (*at, key))


def damaged(body: Any, draw: random.Random) -> Any:
    """Return a copy in which something is missing, repeated, added, or strange."""
    found = copy.deepcopy(body)
    *way, last = draw.choice(list(places(found)))
    inside = found
    for step in way:
        inside = inside[step]
    match draw.randrange(6):
        case 0:
            del inside[last]
        case 1 if isinstance(inside, list):
            inside.append(copy.deepcopy(inside[last]))
        case 1:
            inside["nobody knows"] = inside[last]
        case _:
            inside[last] = draw.choice(STRANGE)
    return found


def written(value: Any) -> bytes:
    """Return JSON as any client might write it, with integers of any size."""
    return json.dumps(value).encode()


async def length(service: Any) -> int:
    async with service.pool.connection() as connection:
        return int((await (await connection.execute("SELECT sum(length) FROM partition")).fetchall())[0][0])


async def tried(service: Any, method: str, path: str, media: str, sent: bytes) -> bool:
    """Send a body; return whether it was refused, after a look at how."""
    before = await length(service)
    answer = await service.client.request(method, path, content=sent, headers={"content-type": media})
    assert answer.status_code < 500, (answer.text, sent)
    if answer.status_code < 400:
        return False
    assert await length(service) == before, sent
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["detail"], sent
    for fault in problem.get("errors", []):
        assert fault["code"], (fault, sent)
        assert fault["detail"], (fault, sent)
        assert fault.get("remedy") or answer.status_code == 409, (fault, sent)  # A decider's no says in its detail what to do.
    return True


def mistaken(body: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield, for the first place of each kind, the place, a value of another type than belongs there, and the body with it."""
    seen = set()
    for way in places(body):
        kind = "/".join("*" if isinstance(step, int) else step for step in way)
        if kind not in seen:
            seen.add(kind)
            for wrong in of_other_types(functools.reduce(operator.getitem, way, body)):
                yield kind, wrong, put(body, "/".join(map(str, way)), wrong)


def of_other_types(value: Any) -> tuple[Any, ...]:
    """Return values that lenient readers take for one like this."""
    match value:
        case bool():
            return 0, 1, "true", "yes"
        case int() | float():
            return True, str(value)
        case str() if re.match(r"\d{4}-\d\d-\d\d", value):
            return 0, 86_400.0, True, "0", "86400", "1764547200"
        case str():
            return 0, 1, True
        case _:
            return 0, True, "x"


@pytest.mark.parametrize("name", BODIES)
async def test_a_damaged_body_is_taken_or_refused_in_words(name: str, database: Callable[[str], ServiceDatabase]) -> None:
    body, draw = BODIES[name], random.Random(f"damage {name}")
    async with body.service(database(body.parts.name)) as (service, content):
        refused = [await body.refuses(service, damaged(content, draw)) for _ in range(DAMAGES)]
    assert sum(refused) > DAMAGES // 4, "most damages are none that may be taken"


@pytest.mark.parametrize("name", BODIES)
async def test_what_is_of_another_type_is_refused_wherever_it_stands(name: str, database: Callable[[str], ServiceDatabase]) -> None:
    body = BODIES[name]
    async with body.service(database(body.parts.name)) as (service, content):
        tries = [(kind, wrong, await body.refuses(service, changed)) for kind, wrong, changed in mistaken(content)]
    taken = [(kind, wrong) for kind, wrong, refused in tries if not refused]
    assert [(kind, wrong) for kind, wrong in taken if kind not in UNREAD.get(name, ())] == []
    assert UNREAD.get(name, frozenset()) <= {kind for kind, _ in taken}, "a place that is read is not named as unread"


@pytest.mark.parametrize("parts", [PROFILE, EVIDENCE, MASTERY, PATHING, SCHEDULING], ids=lambda parts: str(parts.name))
async def test_every_address_that_takes_a_body_is_tried(parts: Parts, database: Callable[[str], ServiceDatabase]) -> None:
    async with running(parts, database(parts.name)) as service:
        addresses = (await service.client.get("/openapi.json")).json()["paths"]
    taking = {(method.upper(), path) for path, methods in addresses.items() for method, told in methods.items() if "requestBody" in told}
    tried = [(body.method, body.path) for body in BODIES.values()] + [("POST", "/profile/oneroster/imports")]
    assert taking
    for method, path in taking:
        form = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
        assert any(method == each and form.fullmatch(way) for each, way in tried), f"{method} {path}: name a sound body in BODIES"


def scratched(content: bytes, draw: random.Random) -> bytes:
    """Return bytes of which some are missing, others, repeated, or strange."""
    at = draw.randrange(len(content))
    to = min(len(content), at + draw.randrange(1, 12))
    new = draw.choice((b"", b"\x00", b"\xff", b'"', b",", b"\n", b"\r", b"\xef\xbb\xbf", "\u2028".encode(), b"x" * 300, content[at:to] * 2))
    return content[:at] + new + content[to:]


async def test_a_roster_with_a_scratch_is_taken_or_refused_in_words(database: Callable[[str], ServiceDatabase]) -> None:
    draw = random.Random("scratches of a roster")
    files = District().files()
    async with running(PROFILE, database("profile"), clock=FixedClock(NOW)) as service:
        await known_to_profile(service)
        path = "/profile/oneroster/imports?source=sis"
        refused = 0
        for _ in range(DAMAGES):
            name = draw.choice(sorted(files))
            refused += await tried(service, "POST", path, "application/zip", zip_of({**files, name: scratched(files[name], draw)}))
            refused += await tried(service, "POST", path, "application/zip", scratched(zip_of(files), draw))
    assert refused > DAMAGES // 4


async def test_alignments_with_a_scratch_are_taken_or_refused_in_words(database: Callable[[str], ServiceDatabase]) -> None:
    draw = random.Random("scratches of alignments")
    rows = "".join(f"{item_iri(n)},K{n}\r\n" for n in range(9))
    sound = f"item,competency\r\n{rows}".encode()
    async with running(EVIDENCE, database("evidence"), clock=FixedClock(NOW)) as service:
        assert not await tried(service, "PUT", "/evidence/alignments", "text/csv", sound)
        scratches = [scratched(sound, draw) for _ in range(DAMAGES)]
        refused = [await tried(service, "PUT", "/evidence/alignments", "text/csv", each) for each in scratches]
    assert sum(refused) > DAMAGES // 8


QUESTIONS = 20
"""For each address."""
ODD = (
    "x",
    "-1",
    "0",
    "1e9",
    "%00",
    "%ff",
    "..%2f",
    "9" * 30,
    "é" * 600,
    "today",
    "9999-12-31",
    "0001-01-01",
    "2026-02-30",
    str(LEARNER),
    "",
)


@pytest.mark.parametrize("parts", [PROFILE, EVIDENCE, MASTERY, PATHING, SCHEDULING], ids=lambda parts: str(parts.name))
async def test_an_odd_question_is_answered_or_refused_in_words(parts: Parts, database: Callable[[str], ServiceDatabase]) -> None:
    draw = random.Random(f"odd questions for {parts.name}")
    async with running(parts, database(parts.name), clock=FixedClock(NOW)) as service:
        addresses = (await service.client.get("/openapi.json")).json()["paths"]
        for path, methods in addresses.items():
            named = [each["name"] for each in methods.get("get", {}).get("parameters", []) if each["in"] == "query"]
            for _ in range(QUESTIONS if "get" in methods else 0):
                asked = re.sub(r"\{\w+\}", lambda _: draw.choice((*ODD, str(LEARNER), "today")), path)
                asked += "?" + "&".join(f"{name}={draw.choice(ODD)}" for name in named if draw.random() < 0.7)
                answer = await service.client.get(asked)
                assert answer.status_code < 500, (asked, answer.text)
                assert answer.status_code < 400 or answer.headers["content-type"] == "application/problem+json", (asked, answer.text)
