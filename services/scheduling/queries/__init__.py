"""Reads of scheduling: views for people, and what is due to be taken and searched."""

from services.scheduling.queries.due import due_searches, due_takes
from services.scheduling.queries.kept import Seen
from services.scheduling.queries.reading import Queries
from services.scheduling.queries.views import ChangeView, LearnerDayView, SchoolDayView, SessionView, UnservedView

__all__ = [
    "ChangeView", "LearnerDayView", "Queries", "SchoolDayView", "Seen", "SessionView", "UnservedView", "due_searches", "due_takes",
]  # fmt: skip
