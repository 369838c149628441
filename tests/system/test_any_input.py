"""Whatever is changed in a sound import, it is taken, or it is refused with a problem that names places and remedies; nothing breaks.

Each import and endpoint with a body gets its own, damaged in one place after another. What is refused leaves the store as it was.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from services.evidence.app import PARTS as EVIDENCE
from services.mastery.app import PARTS as MASTERY
from services.mastery.calibration import DEFAULT_ENTRIES
from services.pathing.app import PARTS as PATHING
from services.profile.app import PARTS as PROFILE
from services.scheduling.app import PARTS as SCHEDULING
from shared.clock import FixedClock
from shared.parts import Parts
from shared.stack import ServiceDatabase
from shared.testing import running
from tests.evidence.lms import act, answered, envelope, graded, item_iri
from tests.mastery.test_case import item, link, package
from tests.pathing.test_http import CATALOGUE, LEARNER
from tests.profile.district import District, zip_of
from tests.scheduling.test_http import resources

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
DAMAGES = 120
"""Of each body; chosen by a fixed seed."""
STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 2**53, 10**30, "", " ", "x", "x" * 5000, "a\u0000b", "\u202e\u200b", "2026-02-30", "0000-00-00T00:00:00Z",
    [], {}, [None], [[]], {"": 0}, {"a\u0000": 1}, float("nan"), float("inf"),
)  # fmt: skip
SEALED = {"cipher": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=", "mac": "a" * 64}
WHO = {"author_id": str(LEARNER), "role": "learner"}
BODIES: dict[str, tuple[Parts, str, str, Any]] = {
    "caliper": (EVIDENCE, "POST", "/evidence/caliper", envelope(graded(), answered("other", item=2))),
    "acts": (EVIDENCE, "POST", "/evidence", {"items": [act(), act("a-2", item=2)]}),
    "alignments": (
        EVIDENCE, "PUT", "/evidence/alignments", {"alignments": [{"item": item_iri(n), "competencies": ["K"]} for n in (1, 2)]},
    ),
    "framework": (MASTERY, "POST", "/mastery/case/packages", package([item(1), item(2), item(3)], [link("precedes", 1, 2)])),
    "catalogue": (PATHING, "PUT", "/pathing/activities", {"activities": CATALOGUE["activities"][:3]}),
    "goals": (
        PATHING, "POST", f"/pathing/learners/{LEARNER}/goals", WHO | {"goals": [{"competency_id": "A", "due": "2026-12-01"}]},
    ),
    "choice": (PATHING, "POST", f"/pathing/learners/{LEARNER}/choices", {"competency_id": "A", "activity_id": "A-video"}),
    "override": (
        MASTERY, "PUT", f"/mastery/learners/{LEARNER}/competencies/A/override",
        WHO | {"role": "teacher", "reason": "conversation", "level": "mastered", "until": "2026-12-01T00:00:00Z"},
    ),
    "override's end": (
        MASTERY, "POST", f"/mastery/learners/{LEARNER}/competencies/A/override/withdrawal", WHO | {"role": "teacher"},
    ),
    "waiver": (
        MASTERY, "PUT", f"/mastery/learners/{LEARNER}/competencies/B/waivers/A",
        WHO | {"role": "teacher", "reason": "conversation", "words": SEALED},
    ),
    "waiver's end": (
        MASTERY, "POST", f"/mastery/learners/{LEARNER}/competencies/B/waivers/A/withdrawal", WHO | {"role": "teacher"},
    ),
    "policy": (MASTERY, "PUT", "/mastery/policy", {"policies": [{"kinds": ["quiz"]}, {"family": "skill", "days": 4}]}),
    "calibration": (MASTERY, "PUT", "/mastery/calibrations", {"entries": list(DEFAULT_ENTRIES)}),
    "groups": (MASTERY, "POST", "/mastery/equity", {"learners": [{"learner_id": str(LEARNER), "groups": {"route": "bus"}}]}),
    "correction": (
        EVIDENCE, "POST", f"/evidence/acts/{LEARNER}/correction", {"author_id": str(LEARNER), "cause": "appeal", "given": 1, "max": 2},
    ),
    "void": (EVIDENCE, "POST", f"/evidence/acts/{LEARNER}/void", {"author_id": str(LEARNER), "cause": "appeal"}),
    "first day": (EVIDENCE, "PUT", "/evidence/calendar", {"first_day": "2026-08-01", "author_id": str(LEARNER)}),
    "resources": (SCHEDULING, "PUT", "/scheduling/resources", resources()),
    "words to seal": (PROFILE, "POST", f"/profile/learners/{LEARNER}/sealed", {"use": "mastery.reason", "words": "Hm"}),
    "words to open": (
        PROFILE, "POST", f"/profile/learners/{LEARNER}/opened",
        {"use": "mastery.reason", "sealed": SEALED},
    ),
    "preferences": (
        PROFILE, "POST", f"/profile/learners/{LEARNER}/preferences", WHO | {"areas": ["space"], "modalities": ["video"], "words": "Hm"},
    ),
}  # fmt: skip


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
        assert fault.get("remedy"), (fault, sent)
    return True


@pytest.mark.parametrize("name", BODIES)
async def test_a_damaged_body_is_taken_or_refused_in_words(name: str, database: Callable[[str], ServiceDatabase]) -> None:
    parts, method, path, body = BODIES[name]
    draw = random.Random(f"damage {name}")
    async with running(parts, database(parts.name), clock=FixedClock(NOW)) as service:
        sent = [written(damaged(body, draw)) for _ in range(DAMAGES)]
        refused = [await tried(service, method, path, "application/json", each) for each in sent]
    assert sum(refused) > DAMAGES // 4, "most damages are none that may be taken"


@pytest.mark.parametrize("parts", [PROFILE, EVIDENCE, MASTERY, PATHING, SCHEDULING], ids=lambda parts: str(parts.name))
async def test_every_address_that_takes_a_body_is_tried(parts: Parts, database: Callable[[str], ServiceDatabase]) -> None:
    async with running(parts, database(parts.name)) as service:
        addresses = (await service.client.get("/openapi.json")).json()["paths"]
    taking = {(method.upper(), path) for path, methods in addresses.items() for method, told in methods.items() if "requestBody" in told}
    tried = [(method, path) for _, method, path, _ in BODIES.values()] + [("POST", "/profile/oneroster/imports")]
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
    async with running(EVIDENCE, database("evidence"), clock=FixedClock(NOW)) as service:
        sent = [scratched(f"item,competency\r\n{rows}".encode(), draw) for _ in range(DAMAGES)]
        refused = [await tried(service, "PUT", "/evidence/alignments", "text/csv", each) for each in sent]
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
