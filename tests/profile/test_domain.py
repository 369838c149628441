"""What is told again is no news; an alias has one learner at a time; each author's latest statement stands beside the others'."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import strategies as st

from services.profile.domain import (
    MAX_AUTHORS,
    IdentifyLearner,
    NoteImport,
    StatePreferences,
    TakeRostered,
    aliases,
    classes,
    learners,
    rosters,
    schools,
    staff,
)
from services.profile.erasure import EraseLearner, LiftErasure, erasures
from shared.contracts.envelope import Sealed
from shared.contracts.profile import (
    Area,
    Asker,
    ClassRostered,
    ErasureGround,
    ErasureLifted,
    LearnerErased,
    LearnerIdentified,
    LearnerRostered,
    LiftGround,
    Modality,
    PreferencesStated,
    Role,
    RosterImported,
    SchoolRostered,
    StaffRostered,
)
from shared.seal import seal
from shared.testing import SOME_TIME, Spec, check_decider

ADA, BEN, SCHOOL, CLASS = UUID(int=1), UUID(int=2), UUID(int=3), UUID(int=4)
ALIAS = "a" * 64
KEY = bytes(range(32))


def name(text: str = "Ada") -> Sealed:
    return seal(KEY, text, "profile.name")


def title(text: str = "5a") -> Sealed:
    return seal(KEY, text, "profile.class-title")


def rostered(**changes: object) -> LearnerRostered:
    return LearnerRostered.model_validate({"learner_id": ADA, "school_id": SCHOOL, "aliases": (ALIAS,), "name": name()} | changes)


def says(author: UUID = ADA, minutes: int = 0, **said: object) -> StatePreferences:
    at = SOME_TIME + timedelta(minutes=minutes)
    plain = {"learner_id": ADA, "author_id": author, "role": Role.LEARNER, "stated_at": at, "areas": (Area.SPACE,)}
    return StatePreferences(PreferencesStated.model_validate(plain | said))


def erased_by(asker: Asker = Asker.GUARDIAN, why: ErasureGround = ErasureGround.REQUEST) -> LearnerErased:
    return LearnerErased(learner_id=ADA, asked_by=asker, why=why, reference="DSR-2026-0114")


def lifted_by(asker: Asker = Asker.DISTRICT, why: LiftGround = LiftGround.MISTAKE) -> ErasureLifted:
    return ErasureLifted(learner_id=ADA, asked_by=asker, why=why)


def test_an_alias_is_told_once() -> None:
    identified = LearnerIdentified(alias=ALIAS, learner_id=ADA)
    Spec(aliases).when(IdentifyLearner(ALIAS, ADA)).then(identified)
    Spec(aliases).given(identified).when(IdentifyLearner(ALIAS, ADA)).then_nothing()


def test_an_alias_passes_on_and_may_come_back() -> None:
    handed_on = Spec(aliases).asked(IdentifyLearner(ALIAS, ADA), IdentifyLearner(ALIAS, BEN))
    assert [event.learner_id for event in handed_on.past if isinstance(event, LearnerIdentified)] == [ADA, BEN]
    handed_on.when(IdentifyLearner(ALIAS, BEN)).then_nothing()
    handed_on.when(IdentifyLearner(ALIAS, ADA)).then(LearnerIdentified(alias=ALIAS, learner_id=ADA))


def test_a_learner_told_as_she_stands_is_no_news_however_her_name_was_sealed() -> None:
    assert rostered().name != rostered().name
    Spec(learners).given(rostered()).when(TakeRostered(rostered())).then_nothing()


@pytest.mark.parametrize(
    "change",
    [
        {"grade": "06"},
        {"class_ids": (CLASS,)},
        {"active": False},
        {"school_id": BEN},
        {"aliases": (ALIAS, "b" * 64)},
        {"name": name("Ida")},
    ],
)
def test_a_learner_told_otherwise_is_news(change: dict[str, object]) -> None:
    told = rostered(**change)
    Spec(learners).given(rostered()).when(TakeRostered(told)).then(told)


def test_a_learner_may_become_again_what_she_was() -> None:
    Spec(learners).given(rostered(), rostered(active=False)).when(TakeRostered(rostered())).then_types(LearnerRostered)


def test_saying_the_same_later_is_no_news_and_something_else_is() -> None:
    said = Spec(learners).given(rostered()).asked(says())
    said.when(says(minutes=5)).then_nothing()
    said.when(says(minutes=5, areas=(Area.SPACE, Area.ART))).then_types(PreferencesStated)
    said.when(says(minutes=5, modalities=(Modality.VIDEO,))).then_types(PreferencesStated)


def test_the_same_words_sealed_anew_are_the_same_words() -> None:
    said = Spec(learners).given(rostered()).asked(says(words=name("dinosaurs")))
    said.when(says(minutes=5, words=name("dinosaurs"))).then_nothing()
    said.when(says(minutes=5, words=name("volcanoes"))).then_types(PreferencesStated)


def test_what_one_author_says_stands_beside_what_another_says() -> None:
    both = Spec(learners).given(rostered()).asked(says(ADA), says(BEN, areas=(Area.ART,)))
    both.when(says(ADA, 5)).then_nothing()
    both.when(says(BEN, 5, areas=(Area.ART,))).then_nothing()


def test_what_was_said_before_what_stands_is_refused() -> None:
    Spec(learners).given(rostered()).asked(says(minutes=5)).when(says(areas=(Area.ART,))).then_refused("outdated")


def test_nobody_speaks_of_a_learner_whom_no_roster_names() -> None:
    Spec(learners).when(says()).then_refused("unknown-learner")


def test_who_speaks_after_so_many_takes_the_place_of_who_was_silent_longest() -> None:
    first, *others = (UUID(int=100 + number) for number in range(MAX_AUTHORS))
    spec = Spec(learners).given(rostered()).asked(*(says(author) for author in (first, *others)), says(first, 5, areas=()))
    assert list(spec.state.statements) == [*others, first], "who speaks again was not silent"
    spec = spec.asked(says(UUID(int=99), 6))
    assert list(spec.state.statements) == [*others[1:], first, UUID(int=99)]
    assert len(learners.codec.encode(spec.state)) <= 3 * 1024
    assert learners.codec.decode(learners.codec.encode(spec.state)).statements == spec.state.statements
    spec.when(says(first, 7, areas=())).then_nothing()
    spec.when(says(others[0], 7)).then_types(PreferencesStated)


def test_who_speaks_by_a_clock_that_was_put_back_is_heard_and_stays() -> None:
    told = (says(UUID(int=100 + number), 60) for number in range(MAX_AUTHORS))
    spec = Spec(learners).given(rostered()).asked(*told, says(UUID(int=99)))
    spec.when(says(UUID(int=99), 1)).then_nothing()


def test_a_roster_is_noted_once() -> None:
    note = NoteImport(RosterImported(content_hash=ALIAS, source="sis", rows=3))
    Spec(rosters).asked(note).when(note).then_nothing()


def test_a_roster_that_was_told_without_its_first_session_is_told_once_more_with_it() -> None:
    undated = NoteImport(RosterImported(content_hash=ALIAS, source="sis", rows=3))
    dated = NoteImport(undated.told.model_copy(update={"first_session": date(2026, 8, 31)}))
    spec = Spec(rosters).asked(undated)
    spec.when(dated).then(dated.told)
    spec = spec.asked(dated)
    for again in (dated, undated, NoteImport(dated.told.model_copy(update={"first_session": date(2025, 9, 1)}))):
        spec.when(again).then_nothing()


def test_a_class_lies_with_its_school() -> None:
    stream = TakeRostered(ClassRostered(class_id=CLASS, school_id=SCHOOL, title=title())).stream
    assert (str(stream), stream.key) == (f"profile/class/{CLASS}", str(SCHOOL))


def test_deciders_keep_the_four_properties() -> None:
    titles, flags, minutes = st.sampled_from(["5a", "5b"]), st.booleans(), st.integers(0, 3)
    check_decider(aliases, st.lists(st.sampled_from([IdentifyLearner(ALIAS, ADA), IdentifyLearner(ALIAS, BEN)])))
    sessions = st.sampled_from([None, date(2025, 9, 1), date(2026, 8, 31)])
    imported = st.builds(RosterImported, content_hash=st.just(ALIAS), source=st.just("sis"), rows=st.just(3), first_session=sessions)
    check_decider(rosters, st.lists(st.builds(NoteImport, imported)))
    school = st.builds(SchoolRostered, school_id=st.just(SCHOOL), title=titles, term_ends=st.sampled_from([None, date(2027, 1, 16)]))
    check_decider(schools, st.lists(st.builds(TakeRostered, school)))
    a_class = st.builds(ClassRostered, class_id=st.just(CLASS), school_id=st.just(SCHOOL), title=titles.map(title), active=flags)
    check_decider(classes, st.lists(st.builds(TakeRostered, a_class)))
    subjects = st.lists(st.sampled_from(["mathematics", "reading"])).map(tuple)
    member = st.builds(StaffRostered, staff_id=st.just(ADA), school_id=st.just(SCHOOL), subjects=subjects, active=flags)
    check_decider(staff, st.lists(st.builds(TakeRostered, member)))
    told = st.builds(lambda active, given: TakeRostered(rostered(active=active, name=name(given))), flags, titles)
    stated = st.builds(
        lambda author, later, words, areas: says(author, later, words=words and name(words), areas=areas),
        st.sampled_from([ADA, BEN]), minutes, st.none() | titles, st.lists(st.sampled_from(Area), max_size=2).map(tuple),
    )  # fmt: skip
    check_decider(learners, st.lists(told | stated))
    by = st.sampled_from(Asker)
    erasing = st.builds(lambda asker, why: EraseLearner(erased_by(asker, why)), by, st.sampled_from(ErasureGround))
    lifting = st.builds(lambda asker, why: LiftErasure(lifted_by(asker, why)), by, st.sampled_from(LiftGround))
    check_decider(erasures, st.lists(erasing | lifting))


def test_a_learner_is_erased_once_whoever_asks_and_may_be_erased_again_where_it_was_lifted() -> None:
    erased = Spec(erasures).asked(EraseLearner(erased_by()))
    erased.when(EraseLearner(erased_by(Asker.DISTRICT, ErasureGround.RETENTION))).then_nothing()
    lifted = erased.asked(LiftErasure(lifted_by()))
    lifted.when(LiftErasure(lifted_by(Asker.GUARDIAN))).then_nothing()
    lifted.when(EraseLearner(erased_by())).then(erased_by())


def test_who_was_never_erased_has_nothing_to_be_lifted() -> None:
    Spec(erasures).when(LiftErasure(lifted_by())).then_nothing()


@pytest.mark.parametrize(
    "reference", ["Anna Kowalska", "Kowalska-2026", "mother asked", "2026 114", "MILLER-1", "A" * 5 + "1", "1" * 33 + "x", "é1"]
)
def test_a_reference_has_no_room_for_a_name(reference: str) -> None:
    with pytest.raises(ValueError, match="reference"):
        LearnerErased(learner_id=ADA, asked_by=Asker.GUARDIAN, why=ErasureGround.REQUEST, reference=reference)
