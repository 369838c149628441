"""`cairn replay verify` on a record that holds nothing: it proves nothing, and says so."""

from collections.abc import Callable

import pytest

from services.cli.verify import verify
from shared.contracts.topics import Topic
from shared.errors import LedgerError
from shared.stack import ServiceDatabase


def test_a_record_of_nothing_is_no_proof(database: Callable[[str], ServiceDatabase]) -> None:
    with pytest.raises(LedgerError, match="nothing was replayed: the ledger of evidence"):
        verify({"evidence": database("evidence").app_url}, "local", [Topic.EVIDENCE], None, lambda report: None)
