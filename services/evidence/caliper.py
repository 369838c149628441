"""Caliper 1.2 (1EdTech, https://www.imsglobal.org/spec/caliper/v1p2), and 1.1: from an envelope to acts of assessment. Pure.

Evidence is what scores a learner's work at an item:
- GradeEvent, Graded: the learner is the attempt's `assignee`, the item its `assignable`, the score the generated Score. The attempt is the
  object or, where that is what was worked at, the `attempt` of the Score. Where nobody is assigned it is the actor, if that is a Person of
  whom nothing says that she graded it: the score's `scoredBy`, or a `membership` without the role of a learner.
- AssessmentItemEvent, Completed, with a scored Response: the learner is the `assignee` of its attempt, else the actor; the item the object;
  `scoreGiven` and `maxScore` stand in the Response, in its `score`, or in its `extensions` (Caliper has no place of its own for them).
What is anonymous, by a blank node or by the name of a type as its id, is nobody, no item, and no attempt: `Entity.is_named`.
Everything else that is valid Caliper is taken and counted as no evidence, with the reason, whatever ids it names; so are actions at an item
that Caliper does not have (Submitted), and events of a type that somebody else made, named by its IRI. The maximum may also stand at the
item; there it counts where the score names none above 0.
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

from services.evidence.entities import VERSION, Entity, Reader, is_anonymous, is_event, is_foreign, is_id, is_read
from services.evidence.told import ANYWHERE, MAX_ACTS, MAX_ID, Heard, Malformed, act_of_attempt, instant, share_of
from shared.contracts.evidence import EvidenceAccepted, Kind
from shared.errors import BadInput, Fault, MalformedInput, TooLarge
from shared.keys import act_id_of, item_id_of

EVENT_TYPES: Final = frozenset({
    "AnnotationEvent", "AssessmentEvent", "AssessmentItemEvent", "AssignableEvent", "Event", "FeedbackEvent", "ForumEvent", "GradeEvent",
    "MediaEvent", "MessageEvent", "NavigationEvent", "QuestionnaireEvent", "QuestionnaireItemEvent", "ResourceManagementEvent",
    "SearchEvent", "SessionEvent", "SurveyEvent", "SurveyInvitationEvent", "ThreadEvent", "ToolLaunchEvent", "ToolUseEvent", "ViewEvent",
})  # fmt: skip
KINDS: Final = {"AssessmentItem": Kind.ITEM, "Assessment": Kind.QUIZ, "AssignableDigitalResource": Kind.PROJECT}
"""Kind by the type of what was worked at; everything else counts as an item."""
_EVENT_ID: Final = re.compile(r"(?:urn:uuid:)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


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
        if isinstance(each, dict) and is_id(name := each.get("id")) and not is_event(each) and not is_anonymous(name):
            described[name] = Entity(each, f"/data/{index}", reader)
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
        _name(value.get("sensor"), "/sensor", "an envelope names its sensor")  # Not all sensors have an IRI, as they should.
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
        return Heard(_name(event.get("id"), f"{place}/id", "an entity has an id"), reason="an entity")
    if is_foreign(kind):
        return Heard(_name(event.get("id"), f"{place}/id", "an event has an id"), reason="a type of event that is not Caliper's")
    if kind not in EVENT_TYPES:
        raise Malformed(f"{place}/type", "unknown-type", "neither Caliper 1.2 nor 1.1 has such an event", "send a type of Caliper 1.2")
    name, action = _event_id(event), event.text("action")
    event.has("actor")
    event.has("object")
    at = instant(event.get("eventTime"), f"{place}/eventTime", reader.latest)
    match kind:
        case "GradeEvent" if action != "Graded":
            raise Malformed(f"{place}/action", "wrong-action", "a GradeEvent has the action Graded", "send Graded")
        case "GradeEvent":
            return _told(name, at, _graded(event, _actor_of(event)), reader, graded_at=at)
        case "AssessmentItemEvent" if action == "Completed":
            return _told(name, at, _completed(event, _actor_of(event)), reader)
        case "AssessmentItemEvent":
            return Heard(name, reason="not completed")
        case _:
            return Heard(name, reason="not scored work")


def _actor_of(event: Entity) -> Entity:
    """Return who acted, or raise `Malformed` where actor, object or what was generated cannot be understood."""
    actor, _, _ = event.needed("actor"), event.needed("object"), event.part("generated")
    return actor


def _graded(event: Entity, actor: Entity) -> Work:
    graded, generated = event.part("object"), event.part("generated")
    if generated.get("scoreGiven") is not None:  # Without its type, which every entity has, it would count as no score.
        generated.text("type")
    of_score = generated.part("attempt")
    if graded.type in KINDS:
        held, works = [of_score], [graded]
    elif _is_attempt(graded) or not graded.type:
        held = [graded, of_score]
        works = [*(_work_of(each) for each in held), event.part("target")]
    else:  # A resource; what it is part of was not worked at.
        held = [of_score, graded]
        works = [_work_of(of_score), event.part("target"), graded]
    assigned = [each.part("assignee") for each in held]
    item = _first(works)
    if not item and not graded.type and _is_attempt(of_score) and of_score.is_named and of_score.id != graded.id:
        item = graded
    attempt = _attempt_at(item, graded, of_score)
    return Work(
        learner=_first(assigned) if any(assigned) else _graded_herself(event, actor, generated),
        item=item,
        attempt=attempt,
        timed=[attempt],
        scored=[generated] if generated.type == "Score" else [],
    )


def _is_attempt(entity: Entity) -> bool:
    """Return whether this says that it is an attempt, by its type, by what it is at or, where it has no type, by whose it is."""
    told = ("assignable",) if entity.type else ("assignable", "assignee")
    return entity.type.endswith("Attempt") or (entity.type not in KINDS and any(entity.get(name) is not None for name in told))


def _attempt_at(item: Entity, graded: Entity, of_score: Entity) -> Entity:
    """Return the attempt at an item that was graded: what says that it is one, else what is only named and is not the item itself, which
    all who worked at it share; an entity that nobody told of where there is none."""
    if _is_attempt(graded):
        return graded
    if _is_attempt(of_score) and of_score.is_named and of_score.id != graded.id:
        return of_score
    named = (each for each in (graded, of_score) if each and not each.type and each.id != item.id)
    return next(named, of_score if _is_attempt(of_score) else Entity({}, of_score.place, of_score.reader))


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
    assignee = attempt.part("assignee")
    learner = assignee if assignee.is_named else actor  # Who acts may be a teacher, or a system, on her behalf.
    inner = [response.part(name) for name in ("score", "extensions") if isinstance(response.get(name), dict)]
    return Work(learner, event.part("object"), attempt, timed=[response, attempt], scored=[response, *inner])


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
    if not work.learner.is_named:  # The next envelope may call someone else so.
        return Heard(name, reason="nobody is assigned")
    if not work.item.is_named:
        return Heard(name, reason="no item")
    ended = next((end for each in work.timed if (end := each.at("endedAtTime"))), at)
    lasted = next((span for each in work.timed if (span := each.lasted_ms()) is not None), None)
    of_attempt = work.attempt.is_named and work.attempt.id != work.item.id  # All who work at an item share the item.
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
    """Return the id of an event as a URN in lower case, whether it came as one or as a bare UUID, or raise `Malformed`."""
    value = event.get("id")
    found = _EVENT_ID.fullmatch(value.lower()) if isinstance(value, str) else None
    if found is None:
        remedy = "send it like urn:uuid:c51570e4-f8ed-4c18-bb3a-dfe51b2cc594"
        raise Malformed(f"{event.place}/id", "not-a-uuid", "the id of an event is a UUID as a URN", remedy)
    return f"urn:uuid:{found[1]}"


def _name(value: Any, place: str, rule: str) -> str:
    """Return a name that nothing is told by, whatever its form, or raise `Malformed`."""
    if not isinstance(value, str) or not value or len(value) > MAX_ID:
        raise Malformed(place, "not-a-text", rule, f"send a text of at most {MAX_ID} characters, best an IRI")
    return value
