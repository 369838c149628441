"""The oracle looks at an installation in use: where new events come meanwhile, what presupposes rest is left out, and is no violation."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.cli import proof
from services.cli.audit import Findings, Installation, check, evidence, settling
from services.cli.audit.reading import read_all
from services.cli.audit.settling import Look, look_at, settle
from tests.audit.district import District
from tests.audit.plant import append
from tests.audit.test_planted import AT_ONCE, column_changed, day_not_planned, new_level, said
from tests.audit.test_stalls import answering


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


@pytest.mark.parametrize(("status", "answer"), [("503 Service Unavailable", "HTTP 503"), (None, "ConnectError")])
async def test_what_evidence_does_not_say_over_http_is_left_out(status: str | None, answer: str, district: District) -> None:
    async with answering(status or "200 OK") as address:
        gateway = address if status else "http://127.0.0.1:9"
        findings = await check(replace(district.installation, gateway=gateway), only=["I10"], options=AT_ONCE)
    assert not findings.violations
    assert [why for id, why in findings.left_out if id == "I10"] == [
        f"evidence does not say over HTTP what it holds ({answer}): `cairn status` says what runs"
    ]


def command(monkeypatch: pytest.MonkeyPatch, installation: Installation, only: list[str]) -> None:
    """Run `cairn audit check` on an installation as it is."""
    monkeypatch.setattr(sys.modules[check.__module__.rpartition(".")[0]], "installation_at", lambda home: installation)
    monkeypatch.setattr(proof, "home_of", lambda home: home)
    monkeypatch.setattr(proof, "_stalled_after", lambda home: 30.0)
    proof.check_command(Path(), None, 0, only, None, 5, None, None)


def test_what_was_found_is_told_where_a_later_part_breaks_off(
    district: District, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*given: Any) -> None:
        raise RuntimeError("a later part")

    monkeypatch.setattr(sys.modules[check.__module__], "_of_services", broken)
    with district.copied("profile") as copy:
        with copy.as_owner("profile") as owner:
            column_changed({"profile": owner})
        with pytest.raises(RuntimeError, match="a later part"):
            command(monkeypatch, copy.installation, ["I2", "I6"])
    told = capsys.readouterr().out
    assert "WRONG I6: profile: columns of the table say other than the event: partition 0 position 0" in told
    assert told.endswith("so far: the check did not come to its end\n")
    assert "I5" not in told, "nobody asked for it"


@pytest.mark.parametrize("rests", [True, False])
def test_rest_is_told_whatever_is_asked_for(
    rests: bool, district: District, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with district.copied("mastery") as copy:
        if not rests:
            with copy.as_owner("mastery") as owner:
                new_level({"mastery": owner})
        command(monkeypatch, copy.installation, ["I1"])
    told = capsys.readouterr().out
    assert ("All services at rest after" in told, "Not at rest." in told) == (rests, not rests)
    assert "0 violations" in told


class Slow:
    """A clock by which each look takes its time, and everything stands where `at` says."""

    def __init__(self, look_s: float, at: Callable[[int], int]) -> None:
        self._look_s, self._at = look_s, at
        self._now, self._looks = 0.0, 0

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self._now += seconds

    async def look(self, installation: Installation) -> Look:
        self._now += self._look_s
        self._looks += 1
        return Look({"mastery": {0: self._at(self._looks)}}, {"mastery": {}}, {}, {})


@pytest.mark.parametrize("within_s", [0, 0.5, 1, 20])
@pytest.mark.parametrize("look_s", [0.01, 1.2, 5, 30])
@pytest.mark.parametrize("moves", [False, True])
async def test_what_does_not_move_is_at_rest_however_slowly_databases_answer(
    within_s: float, look_s: float, moves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(look_s, lambda look: look if moves else 1)
    monkeypatch.setattr(settling, "time", slow)
    monkeypatch.setattr(settling, "asyncio", slow)
    monkeypatch.setattr(settling, "look_at", slow.look)
    settled = await settle(Installation({"mastery": "nowhere"}), within_s)
    assert (settled.at_rest, settled.moved) == (not moves, moves)
    findings = Findings()
    settling.tell(settled, within_s, Installation({"mastery": "nowhere"}), findings)
    assert ("I5" in findings.violated) is (moves and within_s > 0)
