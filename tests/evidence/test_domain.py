"""The deciders of evidence: an act is accepted once, recorded once, and a different telling is a conflict."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from services.evidence.domain import (
    MAX_TELLINGS,
    AcceptEvidence,
    AlignItem,
    NoteAlias,
    RecordEvidence,
    act,
    alias,
    encode_act,
    encode_learner,
    item,
    learner,
)
from shared.contracts.evidence import AliasNoted, EvidenceAccepted, EvidenceConflicted, EvidenceRecorded, Format, ItemAligned, Kind
from shared.testing import Spec, check_decider

ANN, BOB = "a" * 64, "b" * 64
ONE, TWO = UUID(int=1), UUID(int=2)
MORNING = datetime(2026, 11, 23, 9, tzinfo=UTC)


def told(**other: Any) -> EvidenceAccepted:
    return EvidenceAccepted(**{"act_id": ONE, "alias": ANN, "item_id": TWO, "score_e6": 750_000, "occurred_at": MORNING, **other})


def accept(**other: Any) -> AcceptEvidence:
    return AcceptEvidence(told(**other), ANN)


def record(id: int = 1, minute: int = 0) -> RecordEvidence:
    return RecordEvidence(UUID(int=id), ONE, TWO, ("K", "L"), 750_000, MORNING + timedelta(minutes=minute), Kind.QUIZ, None)


def test_an_act_is_accepted_as_it_was_told() -> None:
    Spec(act).when(accept()).then(told())


def test_an_act_told_again_changes_nothing() -> None:
    Spec(act).asked(accept()).when(accept()).then_nothing()
    Spec(act).asked(accept()).when(accept(format=Format.DIRECT)).then_nothing()


def test_another_score_item_time_or_person_is_a_conflict() -> None:
    for other in ({"score_e6": 0}, {"item_id": ONE}, {"occurred_at": MORNING + timedelta(seconds=1)}, {"duration_ms": 5}):
        Spec(act).asked(accept()).when(accept(**other)).then(EvidenceConflicted(told=told(**other)))
    Spec(act).asked(accept()).when(accept(alias=BOB)).then(EvidenceConflicted(told=told(alias=BOB), alias=ANN))


def test_the_same_different_telling_is_a_conflict_once_and_refused_from_then_on() -> None:
    spec = Spec(act).asked(accept(), accept(score_e6=0))
    spec.when(accept(score_e6=0)).then_refused("conflict")
    spec.when(accept(score_e6=1)).then_types(EvidenceConflicted)
    spec.when(accept()).then_nothing()


def test_another_message_about_an_act_need_only_agree_in_person_item_and_score() -> None:
    later = {"occurred_at": MORNING + timedelta(hours=1), "duration_ms": 9}
    spec = Spec(act).asked(accept(telling_id=ONE))
    spec.when(accept(telling_id=TWO, **later)).then_nothing()
    spec.when(accept(telling_id=ONE, **later)).then_types(EvidenceConflicted)
    spec.when(accept(telling_id=TWO, score_e6=0)).then_types(EvidenceConflicted)


def test_what_is_remembered_of_an_act_is_bounded() -> None:
    spec = Spec(act).asked(accept(), *(accept(score_e6=n) for n in range(MAX_TELLINGS - 1)))
    spec.when(accept(score_e6=999_999)).then_refused("conflict")
    spec.when(accept()).then_nothing()
    assert len(encode_act(spec.when(accept()).state)) == 16 * (2 + MAX_TELLINGS)


def test_evidence_is_recorded_once() -> None:
    Spec(learner).when(record()).then(
        EvidenceRecorded(
            evidence_id=ONE, learner_id=ONE, item_id=TWO, competency_ids=("K", "L"), score_e6=750_000, occurred_at=MORNING, kind=Kind.QUIZ
        )
    )
    Spec(learner).asked(record()).when(record()).then_nothing()


def test_late_evidence_is_recorded_and_recognised() -> None:
    spec = Spec(learner).asked(record(5, minute=5), record(1, minute=1))
    spec.when(record(1, minute=1)).then_nothing()
    spec.when(record(3, minute=3)).then_types(EvidenceRecorded)


def test_the_watermark_is_a_pair_and_never_goes_back() -> None:
    quiz = Spec(learner).asked(*(record(n) for n in (1, 2, 3)))
    assert not learner.needs_history(record(4), quiz.when(record(3)).state), "items of one instant, sorted by id, need no history"
    assert learner.needs_history(record(2), quiz.when(record(3)).state)
    late = quiz.when(record(9, minute=-5)).state
    assert (late.last_at, late.last_id) == (MORNING, UUID(int=3))
    assert len(encode_learner(late)) == 24


def test_an_alias_is_noted_and_may_become_another_learner() -> None:
    one, two = NoteAlias(AliasNoted(alias=ANN, learner_id=ONE)), NoteAlias(AliasNoted(alias=ANN, learner_id=TWO))
    Spec(alias).when(one).then(one.noted)
    Spec(alias).asked(one).when(one).then_nothing()
    Spec(alias).asked(one).when(two).then(two.noted)


def test_an_item_is_aligned_and_may_be_aligned_anew() -> None:
    def align(*competencies: str) -> AlignItem:
        return AlignItem(ItemAligned(item_id=ONE, iri="https://lms.example/1", competency_ids=competencies))

    Spec(item).when(align("K", "L")).then_types(ItemAligned)
    Spec(item).asked(align("K", "L")).when(align("L", "K")).then_nothing()
    Spec(item).asked(align("K", "L")).when(align("K")).then_types(ItemAligned)


ids = st.sampled_from([ONE, TWO])
minutes = st.integers(-3, 3).map(lambda minute: MORNING + timedelta(minutes=minute))
tellings = st.builds(
    EvidenceAccepted, act_id=st.just(ONE), alias=st.sampled_from([ANN, BOB]), item_id=ids, score_e6=st.integers(0, 2), occurred_at=minutes,
    telling_id=st.none() | ids, duration_ms=st.none() | st.integers(0, 1),
)  # fmt: skip


def test_acts_have_the_four_properties() -> None:
    def commands(tellings: list[EvidenceAccepted]) -> list[AcceptEvidence]:
        return [AcceptEvidence(each, tellings[0].alias) for each in tellings]

    check_decider(act, st.lists(tellings, min_size=1, max_size=24).map(commands))


def test_learners_have_the_four_properties() -> None:
    check_decider(learner, st.lists(st.builds(record, st.integers(1, 5), st.integers(-2, 2)), max_size=12))


def test_aliases_and_items_have_the_four_properties() -> None:
    check_decider(alias, st.lists(ids.map(lambda id: NoteAlias(AliasNoted(alias=ANN, learner_id=id))), max_size=6))
    competencies = st.lists(st.sampled_from(["K", "L", "M"]), min_size=1, max_size=3)
    aligned = competencies.map(lambda some: AlignItem(ItemAligned(item_id=ONE, iri="https://lms.example/1", competency_ids=tuple(some))))
    check_decider(item, st.lists(aligned, max_size=6))
