"""How large a school day may be: a plan is one event, and a day takes no more learners than certainly fit it."""

from __future__ import annotations

from typing import Final

from shared.contracts.envelope import MAX_EVENT_BYTES

MAX_LEARNERS: Final = 3_000
"""Learners in one day of one school, however few zones, adults and periods it has."""
HEAD_BYTES: Final = 4 * 1024
"""For the envelope and a plan's other fields: about 1.5 KiB, and room for fields of later releases."""
MAX_PLAN_BYTES: Final = MAX_EVENT_BYTES - HEAD_BYTES
"""Bytes of a plan as the event's data."""
