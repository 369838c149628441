"""The state of a day, and its compact form: columns of small numbers that point into one list of texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import orjson

from shared.contracts.pathing import Option, Reason, Step
from shared.contracts.profile import Modality
from shared.contracts.scheduling import Demand, Placement, StaffMember, Use
from shared.decider import Codec

FORMAT: Final = 3


@dataclass(frozen=True)
class DayState:
    """What deciding needs about a day."""

    version: int = 0
    """Of the day's stream: how many events it has."""
    roster: int = 0
    staff: tuple[StaffMember, ...] = ()
    demands: Mapping[UUID, Demand] = field(default_factory=dict)
    days: Mapping[UUID, tuple[Placement, ...]] = field(default_factory=dict)
    """The plan in force."""
    changed: frozenset[UUID] = frozenset()
    """Learners whose demand is newer than the plan."""
    anew: bool = True
    """Whether there is no plan yet, or the roster named other adults since."""
    resources: str = ""
    """Id of the resources that the plan was made with."""


class _Texts(dict[str, int]):
    """Numbers texts in the order in which they first come. Encoding is half of what a day costs: known texts are one look-up."""

    def __missing__(self, text: str) -> int:
        number = self[text] = len(self)
        return number


def encode(state: DayState) -> bytes:
    """Return the state in its compact form."""
    texts, adults = _Texts(), dict[int, int]()
    demands = [
        [texts[str(learner)], demand.version, demand.check_in + 2 * demand.path_empty, [_step(texts, step) for step in demand.needs]]
        for learner, demand in sorted(state.demands.items(), key=_by_id)
    ]
    days = [
        [texts[str(learner)], [_placement(texts, adults, placed) for placed in day]]
        for learner, day in sorted(state.days.items(), key=_by_id)
    ]
    changed = sorted(texts[str(learner)] for learner in state.changed)
    staff = [member.model_dump(mode="json") for member in state.staff]
    return orjson.dumps([list(texts), state.version, state.roster, staff, demands, days, changed, int(state.anew), state.resources])


def _by_id(item: tuple[UUID, Any]) -> int:
    return item[0].int


def _step(texts: _Texts, step: Step) -> list[Any]:
    options = [[texts[one.activity_id], texts[one.modality._value_], one.minutes, one.score] for one in step.options]
    told = [texts[text] for text in (step.competency_id, step.subject, step.reason._value_, step.goal_id, step.chosen)]
    return [*told, int(step.waits), options]


def _placement(texts: _Texts, adults: dict[int, int], placed: Placement) -> list[int]:
    """Return a placement in numbers; `adults` holds those of ids that came before, whose text need not be written again."""
    if placed.use is None:
        return [texts[placed.period_id], int(placed.begun)]
    period, space, zone = texts[placed.period_id], texts[placed.space_id], texts[placed.zone_id]
    if placed.staff_id is None:
        adult = texts[""]
    else:
        known = adults.get(placed.staff_id.int)
        adult = adults[placed.staff_id.int] = texts[str(placed.staff_id)] if known is None else known
    return [
        period, space, zone, adult, texts[placed.use._value_], texts[placed.competency_id],
        texts[placed.modality._value_ if placed.modality else ""], texts[placed.activity_id],
        texts[placed.reason._value_ if placed.reason else ""],
    ]  # fmt: skip


def decode(content: bytes) -> DayState:
    """Return the state that `encode` was given."""
    texts, version, roster, staff, demands, days, changed, anew, resources = orjson.loads(content)
    return DayState(
        version=version,
        roster=roster,
        staff=tuple(StaffMember.model_validate(member) for member in staff),
        demands={demand.learner_id: demand for demand in (_read_demand(texts, row) for row in demands)},
        days={UUID(texts[who]): tuple(_read_placement(texts, row) for row in day) for who, day in days},
        changed=frozenset(UUID(texts[who]) for who in changed),
        anew=bool(anew),
        resources=resources,
    )


def _read_demand(texts: list[str], row: list[Any]) -> Demand:
    who, version, flags, steps = row
    needs = tuple(
        Step(
            competency_id=texts[competency],
            subject=texts[subject],
            reason=Reason(texts[reason]),
            goal_id=texts[goal],
            chosen=texts[chosen],
            waits=bool(waits),
            options=tuple(
                Option(activity_id=texts[activity], modality=Modality(texts[modality]), minutes=minutes, score=score)
                for activity, modality, minutes, score in options
            ),
        )
        for competency, subject, reason, goal, chosen, waits, options in steps
    )
    return Demand(learner_id=UUID(texts[who]), version=version, needs=needs, check_in=bool(flags & 1), path_empty=bool(flags & 2))


def _read_placement(texts: list[str], row: list[int]) -> Placement:
    if len(row) == 2:
        return Placement(period_id=texts[row[0]], begun=bool(row[1]))
    period, space, zone, staff, use, competency, modality, activity, reason = (texts[number] for number in row)
    return Placement(
        period_id=period,
        space_id=space,
        zone_id=zone,
        staff_id=UUID(staff) if staff else None,
        use=Use(use),
        competency_id=competency,
        modality=Modality(modality) if modality else None,
        activity_id=activity,
        reason=Reason(reason) if reason else None,
    )


CODEC: Final = Codec(FORMAT, encode, decode, bulk=5)
"""A day of 600 learners has 0.4 MB encoded and 15 decoded: a district has more of them than anybody has memory for."""
