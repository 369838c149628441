"""The rules of scheduling: demands and staff as they were heard, and days with their plans."""

from typing import Final

from services.scheduling.domain.codec import DayState
from services.scheduling.domain.commands import AdoptPlan, NoteDemand, NoteStaff, RepairDay, TakeDemands, TakeStaff
from services.scheduling.domain.day import day, inputs_hash, problem_of
from services.scheduling.domain.facts import DemandState, StaffState, demand, school

DECIDERS: Final = (demand, school, day)

__all__ = [
    "DECIDERS", "AdoptPlan", "DayState", "DemandState", "NoteDemand", "NoteStaff", "RepairDay", "StaffState", "TakeDemands", "TakeStaff",
    "day", "demand", "inputs_hash", "problem_of", "school",
]  # fmt: skip
