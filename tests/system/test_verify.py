"""`cairn replay verify` on a record that holds nothing: it proves nothing, and says so; what other records hold is told all the same."""

from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli import proof, verify
from shared.contracts.topics import Topic
from shared.errors import LedgerError
from shared.replay import Difference
from shared.stack import ServiceDatabase


def test_a_record_of_nothing_is_no_proof(database: Callable[[str], ServiceDatabase]) -> None:
    with pytest.raises(LedgerError, match="nothing was replayed: the ledger of evidence"):
        verify.verify({"evidence": database("evidence").app_url}, "local", [Topic.EVIDENCE], None, lambda report: None)


def test_a_record_of_which_no_decision_could_be_made_again_is_not_one_of_nothing() -> None:
    broken = Difference("evidence/act/1", 1, "partition 0 position 0", "it cannot be read again")
    verify.refuse_nothing(
        [verify.Report("evidence", events=1, differences=[broken]), verify.Report("mastery", events=2, decisions=2)], None
    )
    verify.refuse_nothing([verify.Report("evidence", differences=[broken])], None)
    with pytest.raises(LedgerError, match="the ledger of pathing holds no decision"):
        verify.refuse_nothing([verify.Report("evidence", differences=[broken]), verify.Report("pathing")], None)


def test_what_was_found_is_told_before_a_record_of_nothing_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    broken = Difference("evidence/act/1", 1, "partition 0 position 0", "it cannot be read again")
    reports = [verify.Report("evidence", events=1, differences=[broken]), verify.Report("pathing")]
    monkeypatch.setattr(verify, "replayed", lambda *given: reports)
    for name in ("home_of", "urls_of", "installation_of"):
        monkeypatch.setattr(proof, name, lambda place: place)
    with pytest.raises(LedgerError, match="the ledger of pathing holds no decision"):
        proof.verify_command(tmp_path)
    told = capsys.readouterr().out
    assert str(broken) in told
    assert "0 decisions replayed, 1 differ" in told
