"""The oracle: what clients were told, ledgers, topics, inboxes and read tables, compared; it decides the invariants I1 to I10.

One body of code for tests, fault runs and a district's production. `check` is the entrance, and its docstring says how to call it; each
other file holds a group of invariants. docs/reliability.md says what each checks, and what it cannot see.
"""

from services.cli.audit.check import Options, check
from services.cli.audit.findings import IDS, INVARIANTS, Findings, Violation
from services.cli.audit.place import Installation, installation_at
from services.cli.audit.settling import settle

__all__ = ["IDS", "INVARIANTS", "Findings", "Installation", "Options", "Violation", "check", "installation_at", "settle"]
