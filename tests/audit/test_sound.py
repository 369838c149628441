"""A sound district: the oracle looks at everything and finds nothing wrong."""

from services.cli.audit import IDS, check
from tests.audit.district import District


async def test_nothing_is_wrong_with_a_sound_district(district: District) -> None:
    findings = await check(district.installation, [district.acks])
    assert not findings.violations, "\n".join(map(str, findings.violations))
    looked_at = {id for id, _, count in findings.checked if count}
    assert looked_at >= set(IDS) - {"I9"}, "what was not looked at proves nothing"
    assert "key_check" not in str(findings.left_out), "a table of the ledger's own is nothing to leave out"
    for invariant, what, count in findings.checked:
        print(invariant, what, count)
    print(findings.left_out, findings.seconds)
