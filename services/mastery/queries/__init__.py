"""Reads the read tables, and says what stands in them."""

from services.mastery.queries.calibrations import entries_of_set
from services.mastery.queries.equity import facts_of_learners
from services.mastery.queries.framework import FrameworkView, competencies_in, framework_view
from services.mastery.queries.learners import ChangeView, CompetencyView, changes_of, competencies_of
from services.mastery.queries.needs import Asked, Need, NeedsView, NeedView, needs_of
from services.mastery.queries.people import Judged, OverrideView, WaiverView, overrides_of, overrides_that_end, waivers_of
from services.mastery.queries.waiting import DeferredView, deferred_now, deferred_of
from services.mastery.queries.why import Why, why

__all__ = [
    "Asked", "ChangeView", "CompetencyView", "DeferredView", "FrameworkView", "Judged", "Need", "NeedView", "NeedsView",
    "OverrideView", "WaiverView", "Why", "changes_of", "competencies_in", "competencies_of", "deferred_now", "deferred_of",
    "entries_of_set", "facts_of_learners", "framework_view", "needs_of", "overrides_of", "overrides_that_end", "waivers_of", "why",
]  # fmt: skip
