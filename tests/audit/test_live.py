"""The oracle looks at an installation in use: where new events come meanwhile, what presupposes rest is left out, and is no violation."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from services.cli.audit import Findings, Installation, check, evidence, settling
from services.cli.audit.reading import read_all
from services.cli.audit.settling import Look, look_at, settle
from tests.audit.district import District
from tests.audit.plant import append
from tests.audit.test_planted import AT_ONCE, day_not_planned, new_level, said


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Let something happen when all are at rest, before the ledgers are read."""

    def happens(what: Callable[[], Any]) -> None:
        def then(*given: Any) -> Any:
            what()
            return read_all(*given)

        monkeypatch.setattr(sys.modules[check.__module__], "read_all", then)

    return happens


async def test_what_presupposes_rest_is_left_out_where_events_come_meanwhile(
    district: District, meanwhile: Callable[[Callable[[], Any]], None]
) -> None:
    with district.copied("mastery", "scheduling") as copy:

        def work() -> None:
            with copy.as_owner("mastery") as mastery, copy.as_owner("scheduling") as scheduling:
                new_level({"mastery": mastery})
                day_not_planned({"scheduling": scheduling})

        meanwhile(work)
        findings = await check(copy.installation, [copy.acks], ["I5", "I7", "I10"], AT_ONCE)
        assert not findings.violations, "\n".join(map(str, findings.violations))
        assert [id for id, why in findings.left_out if why.startswith("not at rest")] == ["I5", "I10", "I7"]


@pytest.mark.parametrize("grows", [True, False])
async def test_what_clients_are_told_is_compared_as_long_as_the_ledger_is_as_it_was_read(
    grows: bool, district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    with district.copied("evidence") as copy:

        async def otherwise(gateway: str, book: Any, findings: Findings) -> None:
            findings.wrong("I10", "evidence says over HTTP other than its ledger holds", [gateway])
            if grows:
                await asyncio.to_thread(work)

        def work() -> None:
            with copy.as_owner("evidence") as owner:
                append(owner, "evidence.accepted.v1")

        monkeypatch.setattr(evidence, "check_told", otherwise)
        findings = await check(replace(copy.installation, gateway="http://nowhere"), only=["I10"], options=AT_ONCE)
    assert findings.violated == (set() if grows else {"I10"})
    assert [id for id, _ in findings.left_out if id == "I10"] == ["I10"] * grows


@pytest.mark.parametrize(("within_s", "moves"), [(0, True), (0, False), (0.5, True)])
async def test_who_asks_for_no_rest_is_told_no_violation_where_new_events_come(
    within_s: float, moves: bool, district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def busy(installation: Installation) -> Look | None:
        nonlocal looks
        look = await look_at(installation)
        looks += 1
        assert look is not None
        lengths = {number: length + 1 + looks * moves for number, length in look.lengths["mastery"].items()}
        return replace(look, lengths={**look.lengths, "mastery": lengths})

    monkeypatch.setattr(settling, "look_at", busy)
    options = replace(AT_ONCE, within_s=within_s)
    findings = await check(district.installation, only=["I5"], options=options)
    if moves and not within_s:
        assert not findings.violations
        assert [why.startswith("not at rest, new events come: pathing is ") for id, why in findings.left_out if id == "I5"] == [True, False]
    else:
        assert "I5: not at rest within" in said(findings, "I5")


async def test_the_look_at_what_waits_ends_where_it_moves_for_ever(district: District, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    async def busy(installation: Installation) -> Look | None:
        nonlocal looks
        looks += 1
        assert looks < 9
        return Look({"evidence": {0: looks + 9}, "mastery": {}}, {"mastery": {("evidence", 0): looks}}, {}, {})

    async def well(client: Any, address: str) -> bool:
        return True

    monkeypatch.setattr(settling, "look_at", busy)
    monkeypatch.setattr(settling, "_is_ready", well)
    settled = await settle(replace(district.installation, addresses={"mastery": "http://nowhere"}), within_s=0)
    assert (settled.at_rest, settled.moved, settled.silent) == (False, True, [])
