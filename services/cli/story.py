"""`cairn replay show`: what was decided about one learner, in order and in words, across all services, each with its cause."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

from services.cli.unread import Unreadable, event_of
from services.cli.verify import reading, streams_of
from services.cli.waiting import waiting_of
from shared.contracts import evidence, mastery, pathing, profile, scheduling
from shared.contracts.envelope import MICRO, Part, Recorded, Sealed, event_id
from shared.contracts.topics import Topic
from shared.ledger import read, store

ERASURE: Final = (profile.LearnerErased, profile.ErasureLifted)
UNTOLD: Final = (scheduling.PlanAdopted, scheduling.DayDemanded, scheduling.DayStaffed)
"""Events about a whole school, which a learner's story does not tell; what they mean for her is an event of its own."""
PLACED: Final = """
    SELECT e.bytes FROM learner_day l JOIN placement_change c USING (school_id, day, learner_id)
    JOIN event e ON e.stream = concat_ws('/', 'scheduling', 'day', l.school_id, l.day) AND e.version = c.version WHERE l.learner_id = %s"""
"""What placed a learner, by the read tables that say on which days: no key of the record does."""
LED: Final = """
    SELECT asked.stream, asked.version, led.stream, led.version, led.type, led.recorded_at
    FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) AS asked (stream, version, settings) CROSS JOIN LATERAL (
        (SELECT stream, version, type, recorded_at FROM event
            WHERE event.stream = asked.stream AND event.version < asked.version AND type = ANY(%s) ORDER BY event.version DESC LIMIT 1)
        UNION ALL
        (SELECT stream, version, type, recorded_at FROM event
            WHERE event.stream = %s AND event.version <= asked.settings AND type = %s ORDER BY event.version DESC LIMIT 1)
        ORDER BY recorded_at DESC, stream LIMIT 1) AS led"""
"""The last of what led to an event of a day: what the day took ahead of it, or resources that came into force. It is about many learners,
so only its time is read."""
ACTS: Final = "SELECT bytes FROM event WHERE stream = ANY(%s) ORDER BY stream, version"
"""What was told of acts. It names the learner by an alias only."""
ACT: Final = "evidence/act/"
"""How the streams of acts begin. Their partitions are not hers: of one instant, they come first, as they lead to what is recorded."""
MAX_ACTS: Final = 1_000
"""Acts that are read at a time."""
REQUEST: Final = 7
"""Version of the ids of requests (UUIDv7)."""
SHORT: Final = 8


@dataclass
class Names:
    """What ids are called, from the parameter pages of the record."""

    competencies: dict[str, str] = field(default_factory=dict)
    activities: dict[str, str] = field(default_factory=dict)
    spaces: dict[tuple[str, str], str] = field(default_factory=dict)
    """By school and id: many a school has a room `r1`."""

    def competency(self, id: str) -> str:
        return self.competencies.get(id, id)

    def activity(self, id: str) -> str:
        return self.activities.get(id, id)

    def space(self, school: UUID, id: str) -> str:
        return self.spaces.get((str(school), id), id)


@dataclass(frozen=True)
class Cause:
    """The event that led to another."""

    id: str
    type: str
    time: datetime


@dataclass(frozen=True)
class Chapter:
    """One thing that happened, in words."""

    at: datetime
    service: str
    words: str
    event: Recorded[Any]
    cause: Cause | None
    """The event that led to it, where it is known; otherwise a request or the clock did, or an event of others."""

    @property
    def because(self) -> str:
        """What led to it, in a few words."""
        if isinstance(self.event.data, Unreadable):
            return "unknown"
        if self.cause is None:
            if self.event.causation != self.event.correlation:  # Not the first in its line.
                what = "event"
            else:
                what = "request" if UUID(self.event.causation).version == REQUEST else "tick"
            return f"{what} {self.event.causation[:SHORT]}"
        day = "" if self.cause.time.date() == self.at.date() else f"{self.cause.time.date()} "
        return f"{self.cause.type} of {day}{self.cause.time:%H:%M:%S.%f}"[:-3]


async def tell(urls: Mapping[str, str], learner: UUID, until: datetime | None, everything: bool = False) -> list[Chapter]:
    """Return a learner's story up to an instant. Causes come before effects; events of one instant stand in the order of the services.

    Args:
        everything: read every ledger from end to end for whatever names her, not only the streams that are known to.
    """
    names = Names()
    events: list[Recorded[Any]] = []
    led: dict[str, Cause] = {}
    waits: dict[str, str] = {}
    for service in Topic:
        async with reading(urls[service]) as pool:
            if service in (Topic.MASTERY, Topic.PATHING, Topic.SCHEDULING):
                await _learn_names(pool, service, names)
            raws = read.naming(pool, str(learner)) if everything else _of_learner(pool, service, str(learner))
            found = [event async for raw in raws if not isinstance((event := event_of(raw, service)).data, UNTOLD)]
            events += found
            if service == Topic.EVIDENCE:
                waits = await waiting_of(pool, learner, found)
                events += await _acts(pool, found, waits)
            led |= await _led(pool, found) if service == Topic.SCHEDULING else {}
    order = {str(service): place for place, service in enumerate(Topic)}
    events.sort(key=lambda e: (e.time, order.get(e.service, len(order)), not e.stream.startswith(ACT), e.partition, e.position))
    causes = _causes(events, led)
    told = [event for event in events if until is None or event.time <= until]

    def said(event: Recorded[Any]) -> str:
        return words(event.data, names) + (waits.get(event.stream, "") if isinstance(event.data, evidence.EvidenceAccepted) else "")

    gone = [(event.time, isinstance(event.data, profile.LearnerErased)) for event in events if isinstance(event.data, ERASURE)]
    return [Chapter(event.time, event.service, said(event) + _erased(event, gone), event, causes.get(event.id)) for event in told]


async def sealed_of(urls: Mapping[str, str], learner: UUID) -> dict[str, int]:
    """Return how many sealed texts about a learner the record of each service holds, in the streams that are known to name her."""
    found = {}
    for service in Topic:
        async with reading(urls[service]) as pool:
            found[str(service)] = sum([len(_sealed_in(store.decoded(raw).data)) async for raw in _of_learner(pool, service, str(learner))])
    return found


def _sealed_in(value: Any, name: str = "") -> list[str]:
    """Return the names of fields of an event, at any depth, that hold sealed text."""
    if isinstance(value, Sealed):
        return [name]
    if isinstance(value, Part):
        return [found for field, inner in value for found in _sealed_in(inner, field)]
    return [found for inner in value for found in _sealed_in(inner, name)] if isinstance(value, tuple) else []


def _erased(event: Recorded[Any], gone: Sequence[tuple[datetime, bool]]) -> str:
    """Return what became of an event's sealed text where its learner was erased, then or since.

    Args:
        gone: the instants at which she was erased (True), or that was lifted (False), in order.
    """
    sealed = _sealed_in(event.data)
    before = [at for at, erased in gone if at <= event.time and erased]
    is_gone = bool(before) and [erased for at, erased in gone if at <= event.time][-1]
    at = before[-1] if is_gone else next((at for at, erased in gone if at > event.time and erased), None)
    if not sealed or at is None:
        return ""
    return f"; {'her name' if sealed == ['name'] else 'the words'}: erased on {at.date()}"


async def _of_learner(pool: read.Pool, service: Topic, learner: str) -> AsyncIterator[bytes]:
    """Yield the events of a service that name a learner: of her own streams, of aliases, and where she was placed on a day."""
    for name in await streams_of(pool, service, learner):
        async for raw in read.stream(pool, name):
            yield raw
    if service in (Topic.PROFILE, Topic.EVIDENCE):
        async for raw in read.naming_under(pool, f"{service}/alias/", learner):
            yield raw
    if service == Topic.SCHEDULING:
        for (raw,) in await read.found(pool, PLACED, [learner]):
            yield raw


async def _acts(pool: read.Pool, events: Sequence[Recorded[Any]], waits: Iterable[str]) -> list[Recorded[Any]]:
    """Return what was told of the acts that these events are about, but for what is among them, and of those that wait."""
    ours = (evidence.EvidenceRecorded, evidence.EvidenceRescored, evidence.EvidenceVoided)
    recorded = [f"{ACT}{event.data.evidence_id}" for event in events if isinstance(event.data, ours)]
    names = list(dict.fromkeys([*recorded, *waits]))
    known = {event.id for event in events}
    found: list[Recorded[Any]] = []
    for start in range(0, len(names), MAX_ACTS):
        rows = await read.found(pool, ACTS, [names[start : start + MAX_ACTS]])
        found += [event for (raw,) in rows if (event := event_of(bytes(raw), Topic.EVIDENCE)).id not in known]
    return found


async def _led(pool: read.Pool, events: Sequence[Recorded[Any]]) -> dict[str, Cause]:
    """Return what led days to place learners as they did, by the ids of the events that say so."""
    placed = [event for event in events if isinstance(event.data, scheduling.PlacementChanged)]
    taken = [scheduling.DayDemanded.TYPE, scheduling.DayStaffed.TYPE]
    asked = [event.stream for event in placed], [event.version for event in placed], [event.settings for event in placed]
    settings = f"{Topic.SCHEDULING}/settings", scheduling.ResourcesAdopted.TYPE
    return {
        event_id(stream, version): Cause(event_id(led, number), type, at.astimezone(UTC))
        for stream, version, led, number, type, at in await read.found(pool, LED, [*asked, taken, *settings])
    }


def _causes(events: Sequence[Recorded[Any]], led: Mapping[str, Cause]) -> dict[str, Cause]:
    """Return what led to each event, by its id. A day is planned for many at once: what led to a learner's place in it is her demand where
    that is newer than the one she was placed by before; else whatever the day took, such as of others or of the adults, or other resources.

    Args:
        events: in order.
        led: what led to her places, by their ids: it is not hers.
    """
    known = {event.id: Cause(event.id, event.type, event.time) for event in events}
    heard = {
        (event.data.school_id, event.data.demand.version): known[event.id]
        for event in events
        if isinstance(event.data, scheduling.DemandNoted)
    }
    served: dict[tuple[UUID, date], int] = {}
    causes: dict[str, Cause | None] = {}
    for event in events:
        causes[event.id] = led.get(event.id) or known.get(event.causation)
        if isinstance(event.data, scheduling.PlacementChanged):
            day = event.data.school_id, event.data.on
            if event.data.demand_version > served.get(day, -1):
                causes[event.id] = heard.get((event.data.school_id, event.data.demand_version), causes[event.id])
            served[day] = event.data.demand_version
    return {id: cause for id, cause in causes.items() if cause is not None}


async def _learn_names(pool: read.Pool, service: Topic, names: Names) -> None:
    """Read what ids are called from the pages of a service's settings stream, the latest name of each."""
    async for raw in read.stream(pool, f"{service}/settings"):
        _learn_page(getattr(event_of(raw, service).data, "content", None), names)


def _learn_page(content: Any, names: Names) -> None:
    """Take in what ids are called by a page of settings."""
    for entry in content if isinstance(content, list) else ():
        if not isinstance(entry, dict):
            continue
        if "statement" in entry:
            names.competencies[entry["id"]] = " ".join(filter(None, (entry.get("code", ""), entry["statement"])))
        elif "modality" in entry and "title" in entry:
            names.activities[entry["id"]] = entry["title"]
        for space in entry.get("spaces", ()):
            names.spaces[entry["school_id"], space["id"]] = space["title"]


def words(event: Any, names: Names) -> str:
    """Return one event in words; the type and its ids where nobody found words for it."""
    match event:
        case Unreadable():
            return event.words
        case (
            profile.LearnerRostered() | profile.PreferencesStated() | profile.LearnerIdentified() | profile.LearnerErased()
            | profile.ErasureLifted()
        ):  # fmt: skip
            return _of_profile(event)
        case (
            evidence.EvidenceAccepted() | evidence.EvidenceConflicted() | evidence.EvidenceRegraded() | evidence.EvidenceRecorded()
            | evidence.AliasNoted()
        ):  # fmt: skip
            return _of_evidence(event, names)
        case evidence.EvidenceRescored():
            return f"her evidence {event.evidence_id} was corrected to {_share(event.score_e6)} ({event.cause})"
        case evidence.EvidenceVoided():
            return f"her evidence {event.evidence_id} counts for nothing any more ({event.cause})"
        case mastery.Estimated() | mastery.Reestimated() | mastery.LevelChanged():
            return _of_mastery(event, names)
        case mastery.LevelHeld() | mastery.PersonNeeded() | mastery.Judgement() | mastery.OverrideEnded() | mastery.MembershipNoted():
            return _of_people(event, names)
        case mastery.EvidenceDeferred() | mastery.JudgementsMoved():
            return _of_frameworks(event, names)
        case scheduling.DemandNoted():
            return "the school's scheduler heard of her demand"
        case scheduling.PlacementChanged():
            return _of_placement(event, names)
        case _:
            return _of_pathing(event, names)


def _of_profile(event: Any) -> str:
    match event:
        case profile.LearnerRostered():
            grade = f", grade {event.grade}" if event.grade else ""
            return f"the roster names her{grade}, {len(event.class_ids)} classes" if event.active else "the roster no longer names her"
        case profile.PreferencesStated():
            likes = ", ".join(event.modalities) or "no way of learning in particular"
            return f"she said: I prefer {likes}" if event.role == profile.Role.LEARNER else f"her {event.role} said: she prefers {likes}"
        case profile.LearnerErased() | profile.ErasureLifted():
            done = "her name and all words about her were erased" if isinstance(event, profile.LearnerErased) else "she may be named again"
            return f"{done}: asked by the {event.asked_by} ({' '.join(filter(None, (event.why, event.reference)))})"
        case _:
            return "another system's name for her became known"


def _of_evidence(event: Any, names: Names) -> str:
    match event:
        case evidence.EvidenceAccepted():
            return f"an answer was accepted, score {_share(event.score_e6)}"
        case evidence.EvidenceConflicted():
            return "an answer was told again with other content; the first telling stands"
        case evidence.EvidenceRegraded(told=told):
            return f"an answer was graded again, score {_share(told.score_e6)}; the latest grade counts"
        case evidence.EvidenceRecorded():
            about = "; ".join(names.competency(id) for id in event.competency_ids)
            return f"{event.kind} of {event.occurred_at:%Y-%m-%d} recorded, score {_share(event.score_e6)}, about: {about}"
        case _:
            return "evidence learned who an alias is"


def _of_mastery(event: Any, names: Names) -> str:
    match event:
        case mastery.Estimated() | mastery.Reestimated():
            beliefs = "; ".join(
                f"{names.competency(belief.competency_id)}: {belief.mean_e6 / MICRO:+.2f}"
                f" ± {(belief.variance_e6 / MICRO) ** 0.5:.2f} logits"
                for belief in event.competencies[:SHORT]
            )
            if isinstance(event, mastery.Reestimated):
                return f"everything weighed again in order: {beliefs or 'no competency moved'}"
            return f"expected {_share(event.expected_e6)}; now {beliefs}"
        case _:
            name, sure = names.competency(event.competency_id), _share(event.probability_e6)
            by = ", set by a person" if event.override else ""
            return f"level of {name}: {event.before} -> {event.level} (probability {sure}{by})"


def _of_people(event: Any, names: Names) -> str:
    if isinstance(event, mastery.MembershipNoted):
        return f"mastery heard of her {len(event.class_ids)} classes"
    name = names.competency(event.competency_id)
    match event:
        case mastery.LevelHeld():
            return f"beneath the level that a person set, {name}: {event.before} -> {event.level}"
        case mastery.PersonNeeded():
            return (
                f"{event.idle} pieces of work on {name} brought no progress: a person is needed" if event.needed else f"progress on {name}"
            )
        case mastery.OverrideGiven():
            return f"her {event.role} set {name} to {event.level} until {event.until.date()} ({event.reason})"
        case mastery.OverrideEnded():
            return f"the level of {name} is the estimate's again" + (f", said her {event.role}" if event.role else "")
        case mastery.PrerequisiteWaived():
            return f"her {event.role} waived {names.competency(event.prerequisite_id)} before {name} ({event.reason})"
        case _:
            return f"her {event.role} let {names.competency(event.prerequisite_id)} count before {name} again ({event.reason})"


def _of_frameworks(event: Any, names: Names) -> str:
    if isinstance(event, mastery.EvidenceDeferred):
        return "no framework in force names what this work is about: it counts once one does"
    moved = [f"{names.competency(each.before_id)} -> {names.competency(each.competency_id)}" for each in event.overrides]
    moved += [f"{names.competency(each.before.competency_id)} -> {names.competency(each.competency_id)}" for each in event.waivers]
    return f"what people said goes on after a revision: {'; '.join(moved) or 'nothing of it, later words stand'}"


def _of_pathing(event: Any, names: Names) -> str:
    match event:
        case pathing.PathPlanned(steps=steps):
            first = "; ".join(f"{names.competency(step.competency_id)} ({step.reason})" for step in steps[:3])
            return f"path of {len(steps)} steps, {event.pace}: {first}"
        case pathing.DemandChanged(needs=needs):
            return f"demand number {event.version}: {len(needs)} steps" + (", and a talk with an adult" if event.check_in else "")
        case pathing.LevelNoted():
            return f"pathing heard: {names.competency(event.competency_id)} is {event.level}"
        case pathing.WaiversNoted(waived=waived, ended=ended):
            said = [
                f"{names.competency(each.prerequisite_id)} does not hold back {names.competency(each.competency_id)}" for each in waived
            ]
            said += [f"{names.competency(each.prerequisite_id)} counts before {names.competency(each.competency_id)}" for each in ended]
            return f"pathing heard: {'; '.join(said)}"
        case pathing.ActivityChosen():
            return f"she chose: {names.activity(event.activity_id)}"
        case pathing.GoalsSet(goals=goals):
            return f"goals set by her {event.role}: " + "; ".join(names.competency(goal.competency_id) for goal in goals[:3])
        case pathing.EnrolmentNoted():
            return "pathing heard where she belongs"
        case pathing.PreferencesNoted():
            return "pathing heard how she likes to learn"
        case pathing.ReplanAsked():
            return "framework, catalogue or day changed, and her path with it"
        case _:
            return f"{event.TYPE}"


def _of_placement(event: scheduling.PlacementChanged, names: Names) -> str:
    day = (f"{place.period_id}: {_of_period(event.school_id, place, names)}" for place in event.placements)
    return f"her {event.on:%A, %d %B}: {'; '.join(day)}"


def _of_period(school_id: UUID, place: scheduling.Placement, names: Names) -> str:
    unserved = "not planned for" if place.begun else "unserved"
    return f"{place.use} in {names.space(school_id, place.space_id)}" if place.use else unserved


def _share(e6: int) -> str:
    return f"{e6 / MICRO:.0%}"
