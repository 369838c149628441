"""What an error of a transaction says: that it passes by itself, or that what was asked is at fault; and its reason in words."""

from __future__ import annotations

import traceback
from typing import Final

from psycopg import DataError, Error, OperationalError
from pydantic import ValidationError

from shared.errors import ClockAhead, LedgerError, Misconfigured
from shared.ledger.patience import TookTooLong

PASSING: Final = ("08", "40", "53", "55", "57")
"""Classes of SQLSTATE that pass by themselves."""
ENDED_IDLE: Final = ("25P03", "25P04")
"""The server ended a transaction that stood still for too long: its process was stopped, or had too much else to do, and runs again."""
READ_ONLY: Final = "25006"
"""The server takes nothing that writes: a hosted one whose disk is nearly full, or one that another has taken over from."""
FAULTY: Final = ("22", "23", "54")
"""Classes of SQLSTATE by which the data is at fault."""


def is_passing(error: Exception) -> bool:
    """Return whether an error passes by itself, or once a clock is set, so that the same transaction may be tried again."""
    if isinstance(error, ClockAhead):
        return True
    state = error.sqlstate if isinstance(error, Error) else None
    return isinstance(error, OperationalError) if state is None else state[:2] in PASSING or state in (*ENDED_IDLE, READ_ONLY)


def is_too_much(error: Exception) -> bool:
    """Return whether what was asked in one transaction may have been too much for the time that it had: less of it may be done in time."""
    return isinstance(error, TookTooLong) or ended_idle(error)


def ended_idle(error: Exception) -> bool:
    """Return whether the server, which answers then, has ended a transaction that stood still."""
    return isinstance(error, Error) and error.sqlstate in ENDED_IDLE


def is_faulty(error: Exception) -> bool:
    """Return whether what was asked is at fault for this error, rather than the database, the installation or the release."""
    if isinstance(error, Error):
        return isinstance(error, DataError) or (error.sqlstate or "")[:2] in FAULTY
    return not isinstance(error, LedgerError | Misconfigured | ClockAhead)


def reason_of(error: BaseException) -> str:
    """Return why a record broke the code: the error's class and where it came from, and none of its words, which may quote data."""
    if isinstance(error, ValidationError):
        faults = "; ".join(
            f"{'/'.join(map(str, fault['loc']))}: {fault['type']}" for fault in error.errors(include_input=False, include_context=False)
        )
        return f"data does not fit {error.title}: {faults}"
    frame = next(reversed(traceback.extract_tb(error.__traceback__)), None)
    place = f" in {frame.name}, {frame.filename.rpartition('/')[2]}:{frame.lineno}" if frame else ""
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__qualname__}{f' {state}' if state else ''}{place}"
