"""What pathing reads of its own tables, and how it is shown."""

from services.pathing.queries.reading import Queries
from services.pathing.queries.views import (
    GoalView,
    OptionView,
    PaceView,
    PastPathView,
    PathView,
    StepView,
    WhatIfView,
    activities_in,
    goal_views,
    pace_view,
    past_path_view,
    path_view,
    what_if_view,
)

__all__ = [
    "GoalView",
    "OptionView",
    "PaceView",
    "PastPathView",
    "PathView",
    "Queries",
    "StepView",
    "WhatIfView",
    "activities_in",
    "goal_views",
    "pace_view",
    "past_path_view",
    "path_view",
    "what_if_view",
]
