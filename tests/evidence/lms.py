"""A learning management system that speaks Caliper 1.2, and the direct API's words: values to send, to vary and to break."""

from datetime import date
from typing import Any
from uuid import UUID, uuid5

from shared.contracts.envelope import StreamId
from shared.contracts.profile import LearnerIdentified, RosterImported
from shared.keys import alias_of
from shared.testing import recorded

KEY = bytes(32)
"""The district key that tests' settings give."""
CONTEXT = "http://purl.imsglobal.org/ctx/caliper/v1p2"
LMS = "https://lms.example"
QUIZ = f"{LMS}/quizzes/7"
NAMES = UUID(int=7)
LONG_AGO = date(2000, 1, 1)
"""A day before all that tests tell."""
ANN = UUID(int=0xA)
"""The learner who is s-1, once somebody says so."""


def urn(name: str) -> str:
    """The id of an event that is called so in a test."""
    return f"urn:uuid:{uuid5(NAMES, name)}"


def item_iri(number: int) -> str:
    """The IRI of an item of the quiz."""
    return f"{QUIZ}/items/{number}"


def person_iri(learner: str = "s-1") -> str:
    """The IRI of a learner."""
    return f"{LMS}/users/{learner}"


def alias(learner: str = "s-1") -> str:
    """The alias of a learner, from the two parts of her IRI."""
    return alias_of(KEY, f"{LMS}/users/", learner)


def attempt_iri(learner: str, number: int = 1) -> str:
    """The IRI of a learner's attempt."""
    return f"{QUIZ}/users/{learner}/attempts/{number}"


def envelope(*data: Any, **other: Any) -> dict[str, Any]:
    """An envelope with these events."""
    return {"sensor": f"{LMS}/sensors/1", "sendTime": "2026-11-24T08:00:00.000Z", "dataVersion": CONTEXT, "data": list(data)} | other


def graded(
    name: str = "grade", learner: str = "s-1", item: int = 1, given: Any = 3, maximum: Any = 4, attempt: str | None = None,
    at: str = "2026-11-23T10:00:00.000Z", kind: str = "AssessmentItem",
) -> dict[str, Any]:  # fmt: skip
    """A grade, as the autograder of the system sends it."""
    return {
        "@context": CONTEXT,
        "id": urn(name),
        "type": "GradeEvent",
        "profile": "GradingProfile",
        "actor": {"id": f"{LMS}/autograder", "type": "SoftwareApplication"},
        "action": "Graded",
        "object": {
            "id": attempt or attempt_iri(learner),
            "type": "Attempt",
            "assignee": {"id": person_iri(learner), "type": "Person"},
            "assignable": {"id": item_iri(item), "type": kind, "isPartOf": {"id": QUIZ, "type": "Assessment"}},
            "count": 1,
        },
        "eventTime": at,
        "edApp": LMS,
        "generated": {
            "id": f"{LMS}/scores/{name}",
            "type": "Score",
            "scoreGiven": given,
            "maxScore": maximum,
            "scoredBy": f"{LMS}/autograder",
        },
    }


def answered(
    name: str = "answer", learner: str = "s-1", item: int = 1, given: Any = 3, maximum: Any = 4, attempt: str | None = None,
    at: str = "2026-11-23T09:00:00.000Z",
) -> dict[str, Any]:  # fmt: skip
    """An answer that the system scored when it was given."""
    return {
        "@context": CONTEXT,
        "id": urn(name),
        "type": "AssessmentItemEvent",
        "profile": "AssessmentProfile",
        "actor": {"id": person_iri(learner), "type": "Person"},
        "action": "Completed",
        "object": {"id": item_iri(item), "type": "AssessmentItem"},
        "eventTime": at,
        "generated": {
            "id": f"{LMS}/responses/{name}",
            "type": "FillinBlankResponse",
            "attempt": {"id": attempt or attempt_iri(learner), "type": "Attempt", "assignee": person_iri(learner)},
            "extensions": {"scoreGiven": given, "maxScore": maximum},
        },
    }


def used(name: str = "use") -> dict[str, Any]:
    """Valid Caliper that scores nothing."""
    return {
        "@context": [CONTEXT, "https://lms.example/ctx"],
        "id": urn(name),
        "type": "ToolUseEvent",
        "actor": person_iri(),
        "action": "Used",
        "object": LMS,
        "eventTime": "2026-11-23T09:00:00Z",
    }


def act(id: str = "a-1", learner: str = "s-1", item: int = 1, **other: Any) -> dict[str, Any]:
    """An item of the direct API."""
    told = {
        "id": id,
        "source": "gradebook",
        "learner": person_iri(learner),
        "item": item_iri(item),
        "occurred_at": "2026-11-23T09:00:00.000Z",
    }
    return told | ({} if "share" in other else {"score": {"given": 3, "max": 4}}) | other


def put(value: Any, path: str, new: Any) -> Any:
    """Return a copy of a JSON value with another value at a path such as `data/0/object`; `...` takes away what stands there."""
    step, _, rest = path.partition("/")
    copy = list(value) if isinstance(value, list) else dict(value)
    key: Any = int(step) if isinstance(value, list) else step
    if rest:
        copy[key] = put(copy[key], rest, new)
    elif new is ...:
        del copy[key]
    else:
        copy[key] = new
    return copy


def paths_of(value: dict[str, Any]) -> list[str]:
    """Every path of an object, for `put`."""
    inner = [f"{name}/{path}" for name, part in value.items() if isinstance(part, dict) for path in paths_of(part)]
    return [*value, *inner]


async def identify(service: Any, name: str = "s-1", learner: UUID = ANN, first_session: date | None = LONG_AGO) -> None:
    """Have the service hear from profile who a learner is and, where a day is given, when courses began."""
    told = LearnerIdentified(alias=alias(name), learner_id=learner)
    await service.hear(*recorded(StreamId("profile", "alias", told.alias), [told]))
    if first_session is not None:
        await import_roster(service, first_session)


async def import_roster(service: Any, first_session: date | None = LONG_AGO) -> None:
    """Have the service hear from profile that a roster ended whose first academic session began on this day, or which has none."""
    told = RosterImported(content_hash=f"{hash(first_session) % 2**64:064x}", source="sis", rows=3, first_session=first_session)
    await service.hear(*recorded(StreamId("profile", "roster", told.content_hash), [told]))


async def align(service: Any, *items: int, competency: str = "K") -> Any:
    """Align items, by default the first one, to a competency."""
    rows = [{"item": item_iri(n), "competencies": [competency]} for n in items or (1,)]
    return (await service.client.put("/evidence/alignments", json={"alignments": rows})).raise_for_status().json()
