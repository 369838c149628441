"""Caliper 1.2 (1EdTech, https://www.imsglobal.org/spec/caliper/v1p2), and 1.1: from an envelope to acts of assessment. Pure.

Evidence is what scores a learner's work at an item:
- GradeEvent, Graded: the learner is the attempt's `assignee`, the item its `assignable`, the score the generated Score. Where nobody is
  assigned it is the actor, if that is a Person of whom nothing says that she graded it: the score's `scoredBy`, or a `membership` without
  the role of a learner.
- AssessmentItemEvent, Completed, with a scored Response: the learner is the actor, the item the object; `scoreGiven` and `maxScore` stand
  in the Response, in its `score`, or in its `extensions` (Caliper has no place of its own for them).
Everything else that is valid Caliper is taken and counted as no evidence, with the reason; so are actions at an item that Caliper does not
have (Submitted). The maximum may also stand at the item; there it counts where the score names none above 0.
It happened when the work ended; where that is not told, at the event's time. Less than nothing, where mistakes cost points, counts as
nothing reached; work that ended before it started, by the clocks that were asked, has no duration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from services.evidence.entities import VERSION, Entity, Reader, iri, is_event, is_read
from services.evidence.told import ANYWHERE, MAX_ACTS, Heard, Malformed, act_of_attempt, instant, share_of
from shared.contracts.evidence import EvidenceAccepted, Kind
from shared.errors import BadInput, Fault, MalformedInput, TooLarge
from shared.keys import act_id_of, is_iri, item_id_of

EVENT_TYPES: Final = frozenset({
    "AnnotationEvent", "AssessmentEvent", "AssessmentItemEvent", "AssignableEvent", "Event", "FeedbackEvent", "ForumEvent", "GradeEvent",
    "MediaEvent", "MessageEvent", "NavigationEvent", "QuestionnaireEvent", "QuestionnaireItemEvent", "ResourceManagementEvent",
    "SearchEvent", "SessionEvent", "SurveyEvent", "SurveyInvitationEvent", "ThreadEvent", "ToolLaunchEvent", "ToolUseEvent", "ViewEvent",
})  # fmt: skip
KINDS: Final = {"AssessmentItem": Kind.ITEM, "Assessment": Kind.QUIZ, "AssignableDigitalResource": Kind.PROJECT}
"""Kind by the type of what was worked at; everything else counts as an item."""
_EVENT_ID: Final = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Work:
    """What both kinds of evidence tell, wherever they tell it. What nobody told of is empty."""

    learner: Entity
    item: Entity
    attempt: Entity
    timed: Sequence[Entity]
    """Where its times may stand, the most exact first."""
    scored: Sequence[Entity]
    """Where its score may stand, the likeliest first."""


def read_envelope(value: Any, alias: Callable[[str, str], str], latest: datetime) -> list[Heard]:
    """Return what each event of an envelope tells, in order.

    Raises:
        MalformedInput: it is no envelope.
        TooLarge: it has more than 500 events.
        BadInput: its version is not supported, or events are malformed; a fault names each of them.
    """
    data = _envelope(value, latest)
    described: dict[str, Entity] = {}
    reader = Reader(cache(alias), latest, described)  # The same learner in every event, as a rule.
    for index, each in enumerate(data):
        if isinstance(each, dict) and isinstance(each.get("id"), str) and not is_event(each):
            described[each["id"]] = Entity(each, f"/data/{index}", reader)
    heard: list[Heard] = []
    faults: list[Fault] = []
    for index, event in enumerate(data):
        try:
            heard.append(_read(event, f"/data/{index}", reader))
        except Malformed as malformed:
            faults.append(malformed.fault)
    if faults:
        raise BadInput(f"{len(faults)} of {len(data)} events cannot be read, so nothing was stored. {faults[0]}", faults)
    return heard


def _envelope(value: Any, latest: datetime) -> list[Any]:
    try:
        if not isinstance(value, dict):
            raise Malformed("", "not-an-object", "a Caliper envelope is a JSON object", "send sensor, sendTime, dataVersion and data")
        if is_event(value):
            remedy = "send it in the list `data` of an envelope, beside sensor, sendTime and dataVersion"
            raise Malformed("", "not-an-envelope", "an event without its envelope", remedy)
        iri(value.get("sensor"), "/sensor")
        instant(value.get("sendTime"), "/sendTime", latest)
        version, data = value.get("dataVersion"), value.get("data")
        if not isinstance(version, str):
            raise Malformed("/dataVersion", "missing", "an envelope names the version of Caliper", f"send {VERSION}")
        if not isinstance(data, list) or not data:
            raise Malformed("/data", "not-a-list", "an envelope holds at least one event or entity", "send them as a list")
    except Malformed as malformed:
        raise MalformedInput(f"not a Caliper envelope. {malformed.fault}", [malformed.fault]) from None
    if not is_read(version):
        fault = Fault("/dataVersion", "unsupported-version", "another version of Caliper than 1.2 and 1.1", f"send {VERSION}")
        raise BadInput(str(fault), [fault])
    if len(data) > MAX_ACTS:
        fault = Fault("/data", "too-many", f"{len(data)} events, at most {MAX_ACTS}", "send several envelopes")
        raise TooLarge(str(fault), [fault])
    return data


def _read(value: Any, place: str, reader: Reader) -> Heard:
    if not isinstance(value, dict):
        raise Malformed(place, "not-an-object", "neither an event nor an entity", "send a JSON object")
    event = Entity(value, place, reader)
    kind = event.text("type")
    event.in_context()
    if not is_event(value):
        return Heard(iri(event.get("id"), f"{place}/id"), reason="an entity")
    if kind not in EVENT_TYPES:
        raise Malformed(f"{place}/type", "unknown-type", "neither Caliper 1.2 nor 1.1 has such an event", "send a type of Caliper 1.2")
    name, action = _event_id(event), event.text("action")
    actor, _, _ = event.needed("actor"), event.needed("object"), event.part("generated")
    at = instant(event.get("eventTime"), f"{place}/eventTime", reader.latest)
    match kind:
        case "GradeEvent":
            if action != "Graded":
                raise Malformed(f"{place}/action", "wrong-action", "a GradeEvent has the action Graded", "send Graded")
            return _told(name, at, _graded(event, actor), reader, graded_at=at)
        case "AssessmentItemEvent":
            return _told(name, at, _completed(event, actor), reader) if action == "Completed" else Heard(name, reason="not completed")
        case _:
            return Heard(name, reason="not scored work")


def _graded(event: Entity, actor: Entity) -> Work:
    graded, generated = event.part("object"), event.part("generated")
    if generated.get("scoreGiven") is not None:  # Without its type, which every entity has, it would count as no score.
        generated.text("type")
    of_score = generated.part("attempt")
    attempts = [of_score] if graded.type in KINDS else [graded, of_score]
    assigned = [each.part("assignee") for each in attempts]
    works = [graded] if graded.type in KINDS else [_work_of(each) for each in attempts]
    return Work(
        learner=next((each for each in assigned if each), None) or _graded_herself(event, actor, generated),
        item=_first([*works, event.part("target")]),
        attempt=attempts[0],
        timed=attempts[:1],
        scored=[generated] if generated.type == "Score" else [],
    )


def _graded_herself(event: Entity, actor: Entity, score: Entity) -> Entity:
    """Return the actor of a grade that names no learner, where it is her work that was graded; else an entity that nobody told of."""
    roles = event.part("membership").get("roles")
    teaches = isinstance(roles, list) and bool(roles) and not any("Learner" in role for role in roles if isinstance(role, str))
    if actor.type != "Person" or teaches or score.part("scoredBy").id == actor.id:
        return Entity({}, actor.place, actor.reader)
    return actor


def _work_of(attempt: Entity) -> Entity:
    """Return what an attempt was made at. What it is part of counts only where that is no attempt itself."""
    whole = attempt.part("isPartOf")
    return attempt.part("assignable") or (whole if whole.type not in ("", "Attempt") else Entity({}, whole.place, whole.reader))


def _completed(event: Entity, actor: Entity) -> Work:
    response = event.part("generated")
    attempt = response.part("attempt")
    inner = [response.part(name) for name in ("score", "extensions") if isinstance(response.get(name), dict)]
    return Work(actor, event.part("object"), attempt, timed=[response, attempt], scored=[response, *inner])


def _first(entities: Sequence[Entity]) -> Entity:
    """Return the first that was told of; the last of them where none was."""
    return next((each for each in entities if each), entities[-1])


def _told(name: str, at: datetime, work: Work, reader: Reader, graded_at: datetime | None = None) -> Heard:
    """Return the act that a scored event tells, or why it is none."""
    score = next((each for each in work.scored if each.get("scoreGiven") is not None), None)
    if score is None:
        return Heard(name, reason="no score")
    told_at = [each for each in (score, work.item) if each.get("maxScore") is not None]
    maximum = next((each for each in told_at if each.number("maxScore") > 0), None)
    if maximum is None:  # Surveys, practice and extra credit have none.
        return Heard(name, reason="no possible score")
    given, possible = score.number("scoreGiven"), maximum.number("maxScore")
    share = share_of(max(given, 0), possible, f"{score.place}/scoreGiven", f"{maximum.place}/maxScore")
    if not is_iri(work.learner.id):  # A blank node is nobody: the next envelope may call someone else so.
        return Heard(name, reason="nobody is assigned")
    if not is_iri(work.item.id):
        return Heard(name, reason="no item")
    ended = next((end for each in work.timed if (end := each.at("endedAtTime"))), at)
    lasted = next((span for each in work.timed if (span := each.lasted_ms()) is not None), None)
    of_attempt = is_iri(work.attempt.id)  # A blank node (`_:a`) means nothing beyond its envelope.
    told = EvidenceAccepted(
        act_id=act_of_attempt(work.attempt.id, work.item.id) if of_attempt else act_id_of(ANYWHERE, name),
        alias=reader.alias(ANYWHERE, work.learner.id),
        item_id=item_id_of(work.item.id),
        score_e6=share,
        occurred_at=ended,
        kind=KINDS.get(work.item.type, Kind.ITEM),
        duration_ms=lasted,
        telling_id=act_id_of(ANYWHERE, name) if of_attempt else None,
        graded_at=graded_at if of_attempt else None,
    )
    return Heard(name, told)


def _event_id(event: Entity) -> str:
    """Return the id of an event in lower case, or raise `Malformed`."""
    value = event.get("id")
    name = value.lower() if isinstance(value, str) else ""
    if _EVENT_ID.fullmatch(name) is None:
        remedy = "send it like urn:uuid:c51570e4-f8ed-4c18-bb3a-dfe51b2cc594"
        raise Malformed(f"{event.place}/id", "not-a-uuid", "the id of an event is a UUID as a URN", remedy)
    return name
