"""How large a school day may be: a plan is one event, and the largest day of every school whose resources were taken fits it."""

from __future__ import annotations

from typing import Final

from shared.contracts.envelope import MAX_EVENT_BYTES

MAX_LEARNERS: Final = 1_500
"""Learners in one day of one school; resources with which their plan would not fit are refused."""
HEAD_BYTES: Final = 4 * 1024
"""For the envelope and a plan's other fields: about 1.5 KiB, and room for fields of later releases."""
MAX_PLAN_BYTES: Final = MAX_EVENT_BYTES - HEAD_BYTES
"""Bytes of a plan as the event's data."""
