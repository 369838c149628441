"""Read tables: what was heard, what each day took, the plan in force, and who moved when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from shared.contracts.envelope import Event, Recorded, instant_text
from shared.contracts.scheduling import DayDemanded, DayStaffed, DemandNoted, PlacementChanged, PlanAdopted, StaffNoted
from shared.ledger.types import Projection, Row, newest

_DAY: Final = {"school_id": "uuid", "day": "date"}


def _projection(table: str, key: dict[str, str], columns: dict[str, str], rows: Callable[[Recorded[Any]], Iterator[Row]]) -> Projection:
    """Return the projection that keeps the newest row of each key; names and SQL types of `key` and `columns`, beside `version`."""
    return newest(table, tuple(key), key | columns, rows)


def _demands(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, DemandNoted):
        demand = event.data.demand
        yield {
            "school_id": str(event.data.school_id), "learner_id": str(demand.learner_id), "demand_version": demand.version,
            "demand": _plain(demand), "event_id": event.id, "correlation": event.correlation, "position": event.position,
            "noted_at": instant_text(event.time), "version": event.version,
        }  # fmt: skip


def _staff(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, StaffNoted):
        told = event.data
        yield {
            "school_id": str(told.school_id), "staff_id": str(told.member.staff_id), "member": _plain(told.member),
            "active": told.active, "version": event.version,
        }  # fmt: skip


def _versions(*kinds: type[Event]) -> Callable[[Recorded[Any]], Iterator[Row]]:
    def rows(event: Recorded[Any]) -> Iterator[Row]:
        if isinstance(event.data, kinds):
            yield _of_day(event)

    return rows


def _day_inputs(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, DayDemanded | DayStaffed):
        yield _of_day(event) | {"event_id": event.id, "correlation": event.correlation}


def _day_staff(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, DayStaffed):
        yield _of_day(event) | {"roster": event.data.roster, "staff": [_plain(member) for member in event.data.staff]}


def _day_demands(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, DayDemanded):
        for demand in event.data.demands:
            yield _of_day(event) | {"learner_id": str(demand.learner_id), "demand_version": demand.version, "demand": _plain(demand)}


def _plans(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, PlanAdopted):
        told = event.data.model_dump(mode="json", include={"resources", "status", "value", "bound", "solver", "begun", "moved"})
        yield _of_day(event) | told | {"adopted_at": instant_text(event.time)}


def _learner_days(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, PlacementChanged):
        placements = [_plain(placement) for placement in event.data.placements]
        yield _moved(event, event.data) | {"placements": placements}


def _changes(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, PlacementChanged):
        led = {"event_id": event.id, "causation": event.causation, "correlation": event.correlation}
        yield _moved(event, event.data) | led


def _moved(event: Recorded[Any], told: PlacementChanged) -> dict[str, Any]:
    changed = {"learner_id": str(told.learner_id), "demand_version": told.demand_version, "changed_at": instant_text(event.time)}
    return _of_day(event) | changed


def _of_day(event: Recorded[Any]) -> dict[str, Any]:
    return {"school_id": str(event.data.school_id), "day": event.data.on.isoformat(), "version": event.version}


def _plain(part: Any) -> Any:
    return part.model_dump(mode="json", exclude_defaults=True)


_WHO: Final = {"learner_id": "uuid"}
_TAKEN: Final = {"demand_version": "bigint", "demand": "jsonb"}
_MOVED: Final = {"demand_version": "bigint", "changed_at": "timestamptz"}
_LED: Final = {"event_id": "uuid", "causation": "uuid", "correlation": "uuid"}

PROJECTIONS: Final = (
    _projection(
        "demand", {"school_id": "uuid", **_WHO},
        _TAKEN | {"event_id": "uuid", "correlation": "uuid", "position": "bigint", "noted_at": "timestamptz"}, _demands,
    ),
    _projection("staff", {"school_id": "uuid", "staff_id": "uuid"}, {"member": "jsonb", "active": "boolean"}, _staff),
    _projection("day_head", _DAY, {}, _versions(DayDemanded, DayStaffed, PlanAdopted, PlacementChanged)),
    _projection("day_input", _DAY, {"event_id": "uuid", "correlation": "uuid"}, _day_inputs),
    _projection("day_staff", _DAY, {"roster": "bigint", "staff": "jsonb"}, _day_staff),
    _projection("day_demand", _DAY | _WHO, _TAKEN, _day_demands),
    _projection(
        "day_plan", _DAY,
        {"resources": "text", "status": "text", "value": "bigint", "bound": "bigint", "solver": "text", "begun": "integer",
         "moved": "bigint", "adopted_at": "timestamptz"}, _plans,
    ),
    _projection("learner_day", _DAY | _WHO, _MOVED | {"placements": "jsonb"}, _learner_days),
    _projection("placement_change", _DAY | {"version": "bigint"}, _WHO | _MOVED | _LED, _changes),
)  # fmt: skip
