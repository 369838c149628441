"""Reads of scheduling: views for people, and which days are due to be searched."""

from services.scheduling.queries.due import Looks
from services.scheduling.queries.kept import Seen
from services.scheduling.queries.reading import Queries
from services.scheduling.queries.views import ChangeView, Closing, LearnerDayView, SchoolDayView, SessionView, UnservedView

__all__ = [
    "ChangeView", "Closing", "LearnerDayView", "Looks", "Queries", "SchoolDayView", "Seen", "SessionView", "UnservedView",
]  # fmt: skip
