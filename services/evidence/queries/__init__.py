"""What evidence reads: views for its routes, and what is known when an act arrives."""

from services.evidence.queries.reading import Queries, notes_now, waiting_now
from services.evidence.queries.regrading import expand
from services.evidence.queries.releasing import due
from services.evidence.queries.views import ActView, AlignmentView, ConflictView, Counts, DisputeView, EvidenceView, WaitingView

__all__ = [
    "ActView", "AlignmentView", "ConflictView", "Counts", "DisputeView", "EvidenceView", "Queries", "WaitingView", "due", "expand",
    "notes_now", "waiting_now",
]  # fmt: skip
