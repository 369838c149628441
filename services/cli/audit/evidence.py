"""I1, I2 and I10 for evidence: what clients were told is there, each act has one effect, and acknowledged = applied + waiting + parked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx

from services.cli.audit.acks import AMENDED, KEPT, all_acks
from services.cli.audit.book import SERVICES, Book, number_of, place
from services.cli.audit.findings import Findings
from services.evidence.domain import MAX_TELLINGS
from services.evidence.grading import MAX_GRADES
from shared.contracts.topics import Topic

ANSWER_LIMIT_S: Final = 30.0
CHUNK: Final = 5_000
"""Acknowledgements that go into the workbook at once."""
ROLES: Final = ("accepted", "recorded", "counted")

COUNT: Final = "SELECT count(DISTINCT act) FROM act WHERE role = ?"
TWICE: Final = "SELECT act, count(*) FROM act WHERE role = ? GROUP BY act HAVING count(*) > 1"
WITHOUT: Final = """
    SELECT act FROM act a WHERE a.role = ? AND NOT EXISTS (SELECT 1 FROM act b WHERE b.role = ? AND b.act = a.act)"""
UNCOUNTED: Final = """
    SELECT a.act, EXISTS (SELECT 1 FROM aside s WHERE s.service = ? AND s.source = ? AND s.partition = a.partition
        AND s.position = a.position AND (s.open OR s.gone))
    FROM act a JOIN inbox i ON i.service = ? AND i.source = ? AND i.partition = a.partition
    WHERE a.role = 'recorded' AND a.position <= i.position
        AND NOT EXISTS (SELECT 1 FROM act b WHERE b.role = 'counted' AND b.act = a.act)"""
UNLIKE: Final = """
    SELECT a.act FROM act a JOIN act b ON b.role = 'counted' AND b.act = a.act WHERE a.role = 'recorded' AND a.copy <> b.copy"""
NOT_KEPT: Final = """
    SELECT DISTINCT k.act FROM ack k WHERE k.result IN ({kept})
        AND NOT EXISTS (SELECT 1 FROM act a WHERE a.role = 'accepted' AND a.act = k.act)"""
NOT_RECORDED: Final = """
    SELECT DISTINCT k.act FROM ack k WHERE k.result = 'recorded'
        AND NOT EXISTS (SELECT 1 FROM act a WHERE a.role = 'recorded' AND a.act = k.act)"""
NOT_AMENDED: Final = """
    SELECT DISTINCT k.act FROM ack k WHERE k.result = ?1 AND NOT EXISTS (
        SELECT 1 FROM act a JOIN event e ON e.service = ?2 AND e.partition = a.partition AND e.position = a.position
        WHERE a.role = ?1 AND a.act = k.act AND (k.event IS NULL OR e.id = k.event))"""
LACKING: Final = """
    SELECT k.act FROM (SELECT act, min(max(1, count(DISTINCT message)), ?2) AS told FROM ack WHERE result = ?1 GROUP BY act) k
    WHERE k.told > (SELECT count(*) FROM act a WHERE a.role = ?1 AND a.act = k.act)"""
"""Each message that is answered so is kept by an event of its own; told again, it is a duplicate, or the same conflict."""
PROMISED: Final = (
    ("regraded", MAX_GRADES - 1, "told as regraded and a further grade is not kept"),
    ("conflict", MAX_TELLINGS - 1, "told as a conflict and the conflict is not kept"),
)
"""Results that promise an event beside the act's acceptance, and how many of them an act has at most."""
FORGOTTEN: Final = """
    SELECT t.act FROM told t JOIN fact n ON n.side = 'held' AND n.kind = 'alias in evidence' AND n.subject = t.alias
    JOIN fact i ON i.side = 'held' AND i.kind = 'item' AND i.subject = lower(hex(t.item))
    WHERE NOT EXISTS (SELECT 1 FROM act a WHERE a.role = 'recorded' AND a.act = t.act)
        AND t.at >= (SELECT min(value) FROM fact WHERE side = 'held' AND kind = 'calendar')"""
DOUBLED: Final = """
    SELECT e.service, e.partition, min(e.position), count(*) FROM event e JOIN event c ON c.id = e.cause
    WHERE c.service <> e.service GROUP BY e.service, e.cause, e.stream, e.type, e.body, e.partition HAVING count(*) > 1"""
SAME_ID: Final = "SELECT service, partition, min(position) FROM event GROUP BY id HAVING count(*) > 1"
OPEN: Final = "SELECT service, count(*) FROM aside WHERE open GROUP BY service"


def check_acks(book: Book, acks: Sequence[Path], findings: Findings) -> None:
    """I1: what a client was told is stored: the act, its being recorded, each further grade, each conflict and each amendment.

    Raises:
        MalformedInput: a log cannot be read, or proves nothing.
    """
    rows: list[tuple[bytes, str, str | None, bytes | None]] = []
    for ack in all_acks(acks):
        rows.append((ack.act.bytes, ack.result, ack.message, ack.event.bytes if ack.event else None))
        if len(rows) >= CHUNK:
            book.put("ack", rows)
            rows = []
    book.put("ack", rows)
    findings.count("I1", "acts that clients were told about", book.number("SELECT count(DISTINCT act) FROM ack"))
    kept = ", ".join(f"'{result}'" for result in KEPT)
    findings.wrong("I1", "acknowledged and not in the ledger", _ids(book.rows(NOT_KEPT.format(kept=kept))))
    findings.wrong("I1", "told as recorded and not recorded", _ids(book.rows(NOT_RECORDED)))
    amended = _ids(book.rows(NOT_AMENDED, AMENDED, number_of(Topic.EVIDENCE)))
    findings.wrong("I1", "told as corrected or void and the amendment is not kept", amended)
    for result, most, words in PROMISED:
        findings.wrong("I1", words, _ids(book.rows(LACKING, result, most)))


def check_effects(book: Book, findings: Findings) -> None:
    """I2: no act is accepted, recorded or counted twice; no event of a source has the same effect twice; ids are unique."""
    for role in ROLES:
        findings.count("I2", f"evidence {role}", book.number(COUNT, role))
        findings.wrong("I2", f"evidence {role} twice", _ids(book.rows(TWICE, role)))
    findings.count("I2", "effects of another service's events", book.number(
        "SELECT count(*) FROM event e JOIN event c ON c.id = e.cause WHERE c.service <> e.service"))  # fmt: skip
    doubled = (f"{place(s, p, n)} and {count - 1} more" for s, p, n, count in book.rows(DOUBLED))
    findings.wrong("I2", "one event of another service has the same effect more than once", doubled)
    findings.wrong("I2", "an event's id stands twice", (place(s, p, n) for s, p, n in book.rows(SAME_ID)))


def check_balance(book: Book, most_parked: int | None, settled: bool, findings: Findings) -> None:
    """I10: accepted = recorded + waiting; of what mastery heard, recorded = counted + parked; nothing waits in vain; few are parked."""
    evidence, mastery = number_of(Topic.EVIDENCE), number_of(Topic.MASTERY)
    waiting = book.number(f"SELECT count(*) FROM ({WITHOUT})", "accepted", "recorded")  # noqa: S608 - our own question
    for role in ROLES:
        findings.count("I10", role, book.number(COUNT, role))
    findings.count("I10", "waiting", waiting)
    findings.wrong("I10", "recorded without being accepted", _ids(book.rows(WITHOUT, "recorded", "accepted")))
    missed = list(book.rows(UNCOUNTED, mastery, evidence, mastery, evidence))
    findings.count("I10", "set aside by mastery", sum(1 for _, aside in missed if aside))
    findings.wrong("I10", "recorded, heard by mastery, and neither counted nor set aside", _ids(row for row in missed if not row[1]))
    if settled:
        findings.wrong("I10", "waits although its learner and its item are known", _ids(book.rows(FORGOTTEN)))
    parked = {SERVICES[service]: count for service, count in book.rows(OPEN)}
    for service in SERVICES:
        findings.count("I10", f"{service}: parked", parked.get(service, 0))
    if most_parked is not None:
        over = (f"{service} has {count}" for service, count in parked.items() if count > most_parked)
        findings.wrong("I10", f"more than {most_parked} are parked", over)


def check_copies(book: Book, findings: Findings) -> None:
    """I4 for evidence: what mastery counted is what evidence recorded, to the byte."""
    findings.count("I4", "counted pieces of evidence compared with what was recorded", book.number(COUNT, ROLES[-1]))
    findings.wrong("I4", "counted without being recorded", _ids(book.rows(WITHOUT, "counted", "recorded")))
    findings.wrong("I4", "counted otherwise than it was recorded", _ids(book.rows(UNLIKE)))


async def check_told(gateway: str, book: Book, findings: Findings) -> None:
    """I10 as a client sees it: what evidence says over HTTP is what its ledger holds. For a service at rest only."""
    async with httpx.AsyncClient(base_url=gateway, timeout=ANSWER_LIMIT_S) as client:
        answer = (await client.get("/evidence/counts")).raise_for_status().json()
    waiting = sum(answer["waiting"].values())
    ledger = {role: book.number(COUNT, role) for role in ROLES[:2]}
    if (answer["accepted"], answer["recorded"]) != (ledger["accepted"], ledger["recorded"]):
        said = f"{answer['accepted']} accepted and {answer['recorded']} recorded"
        findings.wrong("I10", "evidence says over HTTP other than its ledger holds", [f"{said}, its ledger {ledger}"])
    if answer["accepted"] != answer["recorded"] + waiting:
        said = f"accepted {answer['accepted']}, recorded {answer['recorded']}, waiting {waiting}"
        findings.wrong("I10", "accepted is not recorded and waiting together", [said])


def _ids(rows: Iterator[Any]) -> Iterator[str]:
    return (str(UUID(bytes=row[0])) for row in rows)
