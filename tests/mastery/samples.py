"""Evidence, competencies and calibrations that the tests of mastery are made of."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from services.mastery.calibration import CALIBRATION, DEFAULT_ENTRIES
from services.mastery.commands import CountEvidence
from services.mastery.framework import FRAMEWORK
from shared.contracts.envelope import Origin, Recorded, StreamId, chain_start, envelope, event_id
from shared.contracts.evidence import EvidenceRecorded, Kind
from shared.parameters import Parameters
from shared.testing import in_force

LEARNER = UUID("7d1f1a52-0000-4000-8000-000000000001")
MONDAY = datetime(2026, 10, 5, 14, tzinfo=UTC)


def competency(number: int) -> str:
    """Return the GUID of a competency."""
    return f"c0{number:06x}-0000-4000-8000-{number:012x}"


def evidence(
    number: int, *about: int, right: bool = True, score_e6: int | None = None, day: float = 0.0, item: int | None = None,
    kind: Kind = Kind.ITEM, learner: UUID = LEARNER,
) -> EvidenceRecorded:  # fmt: skip
    """Return a piece of evidence about these competencies, `day` days after the Monday; its item is its own unless named."""
    return EvidenceRecorded(
        evidence_id=UUID(int=(0xE << 120) + number), learner_id=learner, item_id=UUID(int=(1 << 90) + (number if item is None else item)),
        competency_ids=tuple(competency(name) for name in about or (1,)), occurred_at=MONDAY + timedelta(days=day), kind=kind,
        score_e6=score_e6 if score_e6 is not None else 1_000_000 * right,
    )  # fmt: skip


def entries(**changes: int) -> list[dict[str, object]]:
    """Return the entries of the shipped calibration with some numbers changed."""
    return [{key: changes.get(key, value) for key, value in entry.items()} for entry in DEFAULT_ENTRIES]


def framework(*links: tuple[int, int], headings: tuple[int, ...] = (), size: int = 6) -> list[dict[str, object]]:
    """Return the entries of a framework in which the first of each link comes before the second."""
    return [
        {
            "id": competency(name), "statement": f"Can do {name}", "code": f"M.{name}", "subject": "mathematics", "grades": ["05"],
            "prerequisites": sorted(competency(first) for first, then in links if then == name), "assessable": name not in headings,
        }
        for name in range(1, size + 1)
    ]  # fmt: skip


def parameters(*links: tuple[int, int], headings: tuple[int, ...] = (), version: int = 2, size: int = 6, **changes: int) -> Parameters:
    """Return what is in force: a framework with these links, and the shipped calibration with these changes."""
    return in_force((FRAMEWORK, framework(*links, headings=headings, size=size)), (CALIBRATION, entries(**changes)), version=version)


def told(seen: EvidenceRecorded, position: int) -> Recorded[EvidenceRecorded]:
    """Return evidence as it stands in evidence's ledger."""
    stream = StreamId("evidence", "learner", str(seen.learner_id))
    origin = Origin(str(UUID(int=1)), str(UUID(int=1)))
    raw = envelope(
        source="/local/evidence", stream=stream, version=position + 1, partition=0, position=position, at=seen.occurred_at,
        previous=chain_start("/local/evidence", 0), decider="evidence.record/1", settings=0, release="test", origin=origin, event=seen,
    )  # fmt: skip
    return Recorded(
        id=event_id(str(stream), position + 1), type=seen.TYPE, source="/local/evidence", time=seen.occurred_at, stream=str(stream),
        version=position + 1, key=stream.key, partition=0, position=position, previous=chain_start("/local/evidence", 0),
        decider="evidence.record/1", settings=0, release="test", causation=origin.causation, correlation=origin.correlation, data=seen,
        raw=raw,
    )  # fmt: skip


@st.composite
def evidence_sets(draw: st.DrawFn, most: int = 20) -> list[EvidenceRecorded]:
    """Draw distinct pieces of evidence of one learner in any order: days apart and together, items old and new, all scores."""
    count = draw(st.integers(1, most))
    result = []
    for number in range(count):
        about = draw(st.sets(st.integers(1, 6), min_size=1, max_size=3))
        hours = draw(st.integers(0, 24 * 40))
        result.append(
            evidence(
                number, *sorted(about), day=hours / 24, item=draw(st.integers(0, 8)), kind=draw(st.sampled_from(Kind)),
                score_e6=draw(st.sampled_from((0, 333_333, 800_000, 1_000_000))),
            )
        )  # fmt: skip
    return draw(st.permutations(result))


def counted(seen: list[EvidenceRecorded]) -> list[CountEvidence]:
    """Return the commands that count this evidence, in its order."""
    return [CountEvidence(each) for each in seen]
