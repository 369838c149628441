"""What the district's LMS sends: Caliper 1.2 envelopes with completed items and graded checks, as any LMS would."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from demo.items import BANK
from demo.learners import Answer
from demo.school import LMS

VERSION: Final = "http://purl.imsglobal.org/ctx/caliper/v1p2"
NAMESPACE: Final = UUID("5b3a0c77-18c4-5e21-a5a9-7f3d0c1de2aa")
MAX_EVENTS: Final = 400
"""Events of one envelope."""


def envelope(answers: Iterable[Answer], sent_at: datetime) -> dict[str, Any]:
    """Return one envelope with an event for each answer, in order."""
    return {
        "sensor": f"{LMS}/sensors/1",
        "sendTime": _instant(sent_at),
        "dataVersion": VERSION,
        "data": [event(answer) for answer in answers],
    }


def event(answer: Answer) -> dict[str, Any]:
    """Return the event that tells of an answer: an item completed, or a check graded. Its id follows from what it tells."""
    told = _graded(answer) if answer.possible > 1 else _completed(answer)
    name = uuid5(NAMESPACE, f"{answer.learner.iri} {answer.item.iri} {_instant(answer.ended_at)}")
    return {"@context": VERSION, "id": f"urn:uuid:{name}", "eventTime": _instant(answer.ended_at), "edApp": _app(), **told}


def _completed(answer: Answer) -> dict[str, Any]:
    attempt = _attempt(answer)
    return {
        "type": "AssessmentItemEvent",
        "action": "Completed",
        "actor": _person(answer),
        "object": {"id": answer.item.iri, "type": "AssessmentItem", "maxScore": answer.possible, "isPartOf": _quiz(answer)},
        "generated": {
            "id": f"{attempt['id']}/response",
            "type": "MultipleChoiceResponse",
            "attempt": attempt,
            "startedAtTime": _instant(answer.started_at),
            "endedAtTime": _instant(answer.ended_at),
            "extensions": {"scoreGiven": answer.given, "maxScore": answer.possible},
        },
    }


def _graded(answer: Answer) -> dict[str, Any]:
    attempt = _attempt(answer)
    return {
        "type": "GradeEvent",
        "action": "Graded",
        "actor": {"id": f"{LMS}/grader", "type": "SoftwareApplication"},
        "object": attempt,
        "generated": {
            "id": f"{attempt['id']}/score",
            "type": "Score",
            "attempt": attempt["id"],
            "maxScore": answer.possible,
            "scoreGiven": answer.given,
            "scoredBy": {"id": f"{LMS}/grader", "type": "SoftwareApplication"},
        },
    }


def _attempt(answer: Answer) -> dict[str, Any]:
    kind = "Assessment" if answer.possible > 1 else "AssessmentItem"
    return {
        "id": f"{LMS}/attempts/{uuid5(NAMESPACE, f'{answer.learner.iri} {answer.item.iri} {_instant(answer.started_at)} attempt')}",
        "type": "Attempt",
        "assignee": _person(answer),
        "assignable": {"id": answer.item.iri, "type": kind, "maxScore": answer.possible},
        "count": 1,
        "startedAtTime": _instant(answer.started_at),
        "endedAtTime": _instant(answer.ended_at),
    }


def _person(answer: Answer) -> dict[str, str]:
    return {"id": answer.learner.iri, "type": "Person"}


def _quiz(answer: Answer) -> dict[str, str]:
    return {"id": f"{BANK}/{answer.subject}/quizzes/{answer.started_at:%Y-%m-%d}", "type": "Assessment"}


def _app() -> dict[str, str]:
    return {"id": LMS, "type": "SoftwareApplication"}


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
