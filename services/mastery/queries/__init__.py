"""What mastery reads of its own tables, and how it is shown."""

from services.mastery.queries.due import deferred_now, overrides_that_end
from services.mastery.queries.equity import Gatherer
from services.mastery.queries.framework import competencies_in, framework_view
from services.mastery.queries.learners import competency_view
from services.mastery.queries.reading import Asked, Queries
from services.mastery.queries.views import (
    ChangeView,
    CompetencyView,
    DeferredView,
    FrameworkView,
    Judged,
    Need,
    NeedsView,
    NeedView,
    OverrideView,
    WaiverView,
    Why,
)
from services.mastery.queries.why import why

__all__ = [
    "Asked", "ChangeView", "CompetencyView", "DeferredView", "FrameworkView", "Gatherer", "Judged", "Need", "NeedView", "NeedsView",
    "OverrideView", "Queries", "WaiverView", "Why", "competencies_in", "competency_view", "deferred_now",
    "framework_view", "overrides_that_end", "why",
]  # fmt: skip
