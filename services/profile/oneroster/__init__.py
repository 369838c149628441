"""OneRoster 1.2 in its CSV binding, bulk mode: from the bytes of a ZIP to rows that may be relied on. Pure; nothing is stored here.

`read` takes a whole file set or nothing. Each fault names its place as `file:line:column`, with a code, and never repeats what a cell
holds: the cells are about children.
"""

from services.profile.oneroster.archive import MAX_ARCHIVE_BYTES
from services.profile.oneroster.columns import FILES
from services.profile.oneroster.faults import MAX_FAULTS, Faults
from services.profile.oneroster.reading import Roster, read
from services.profile.oneroster.table import Row, listed

__all__ = ["FILES", "MAX_ARCHIVE_BYTES", "MAX_FAULTS", "Faults", "Roster", "Row", "listed", "read"]
