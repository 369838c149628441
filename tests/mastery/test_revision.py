"""Frameworks side by side, and their revisions: what learners have shown survives them."""

from random import Random
from typing import Any

import pytest

from services.mastery.calibration import CALIBRATION
from services.mastery.case import read_package
from services.mastery.commands import CountEvidence, Recalibrate
from services.mastery.domain import mastery
from services.mastery.framework import EMPTY, FRAMEWORK, Framework, indexed
from services.mastery.revision import GONE, Withdrawn, pages_of, revised, withdrawn
from shared.contracts.mastery import Competency, Level, Reestimated
from shared.errors import BadInput
from shared.parameters import Parameters
from shared.testing import Spec, in_force
from tests.mastery.samples import LEARNER, competency, counted, entries, evidence
from tests.mastery.test_case import DOCUMENT, item, link, package
from tests.mastery.test_domain import levels, strong

OTHER = "d0000000-0000-4000-8000-000000000001"


def taken(before: Framework, sent: dict[str, Any]) -> Framework:
    """Return the frameworks in force once a package was taken."""
    competencies, report = read_package(sent, before.competencies.keys())
    return indexed(revised(before, report.document, competencies, report.replaced).competencies)


def numbers(framework: Framework, version: int = 2) -> Parameters:
    items = [known.model_dump(mode="json", exclude_defaults=True) for known in framework.competencies.values()]
    return in_force((FRAMEWORK, items), (CALIBRATION, entries()), version=version)


FIRST = taken(EMPTY, package([item(1), item(2)], [link("precedes", 1, 2)]))
REVISED = package([item(11), item(12)], [link("precedes", 11, 12), link("replacedBy", 1, 11), link("replacedBy", 2, 12)])


def test_frameworks_stand_side_by_side_and_a_document_takes_its_own_place_only() -> None:
    both = taken(FIRST, package([item(5), item(6)], identifier=OTHER))
    assert set(both.competencies) == {competency(n) for n in (1, 2, 5, 6)}
    again = taken(both, package([item(5)], identifier=OTHER))
    assert set(again.competencies) == {competency(n) for n in (1, 2, 5)}
    assert taken(both, package([item(1), item(2)], [link("precedes", 1, 2)])).competencies == both.competencies


def test_importing_one_document_adds_no_page_of_another() -> None:
    both = taken(FIRST, package([item(5), item(6)], identifier=OTHER))
    one, two = pages_of(list(FIRST.competencies.values())), pages_of(sorted(both.competencies.values(), key=lambda k: (k.framework, k.id)))
    assert [page for page in one if page in two] == one
    assert len(two) == 2


def test_a_framework_from_before_documents_were_told_apart_is_taken_for_the_one_that_shares_its_items() -> None:
    old = indexed(known.model_copy(update={"framework": ""}) for known in FIRST.competencies.values())
    assert set(taken(old, package([item(1), item(7)])).competencies) == {competency(1), competency(7)}
    assert set(taken(old, package([item(8)], identifier=OTHER)).competencies) == {competency(1), competency(2), competency(8)}


@pytest.mark.parametrize(
    ("links", "counts_for"),
    [
        ({1: (99,)}, {1: (1,)}), ({1: (2, 99)}, {1: (2,)}), ({1: (2,), 2: (99,)}, {1: (2,), 2: (2,)}), ({1: (98, 99)}, {1: (1,)}),
        ({1: (2,), 2: (3, 99)}, {1: (3,), 2: (3,)}), ({1: (2,), 2: (1,)}, {1: (1,), 2: (2,)}),
    ],
)  # fmt: skip
def test_evidence_counts_for_what_is_known_and_else_stays_where_it_is(
    links: dict[int, tuple[int, ...]], counts_for: dict[int, tuple[int, ...]]
) -> None:
    framework = indexed(
        Competency(id=competency(n), statement=str(n), replaced_by=tuple(map(competency, links.get(n, ())))) for n in (1, 2, 3)
    )
    assert {n: framework.current((competency(n),)) for n in counts_for} == {n: tuple(map(competency, e)) for n, e in counts_for.items()}


def test_what_only_a_competency_of_no_framework_in_force_replaces_can_be_mastered_until_that_is_known() -> None:
    first, second = FIRST.competencies.values()
    elsewhere = indexed([first.model_copy(update={"replaced_by": (competency(99),)}), second])  # As sets before this release have it.
    spec = Spec(mastery, numbers(elsewhere)).asked(*counted(strong(0, 1)), *counted(strong(50, 2)))
    assert {name: spec.state.told_level(name) for name in map(competency, (1, 2))} == dict.fromkeys(map(competency, (1, 2)), Level.MASTERED)
    edition = taken(elsewhere, package([item(99)], identifier=OTHER))
    after = Spec(mastery, numbers(edition, version=3), spec.past).when(Recalibrate(LEARNER, 3))
    assert levels(*after.events) == {competency(1): Level.UNKNOWN, competency(99): Level.MASTERED}


def test_what_is_replaced_stays_known_and_counts_for_what_stands_in_its_place() -> None:
    framework = taken(FIRST, REVISED)
    assert framework.current((competency(1), competency(12))) == (competency(11), competency(12))
    assert not framework.competencies[competency(1)].assessable
    later = taken(framework, package([item(11), item(12), item(13)]))
    assert later.current((competency(2),)) == (competency(12),)
    further = taken(later, package([item(21)], [link("replacedBy", 11, 21), link("replacedBy", 13, 21)]))
    assert further.current((competency(1),)) == (competency(21),)


def test_what_one_package_replaces_and_still_holds_cannot_be_shown_any_more() -> None:
    sent = package([item(1), item(2), item(3)], [link("replacedBy", 1, 2), link("replacedBy", 3, 77)])
    framework = taken(EMPTY, sent)
    assert [known.assessable for known in framework.competencies.values()] == [False, True, True]
    assert taken(framework, sent).competencies == framework.competencies


def test_what_was_replaced_before_anybody_knew_it_is_noted_all_the_same() -> None:
    framework = taken(EMPTY, package([item(11)], [link("replacedBy", 77, 11)]))
    assert framework.competencies[competency(77)].statement == GONE
    assert framework.current((competency(77),)) == (competency(11),)


def test_mastery_survives_a_revision() -> None:
    before = Spec(mastery, numbers(FIRST)).asked(*counted([*strong(0, 1), *strong(100, 2, from_day=9)]))
    assert levels(*before.past) == dict.fromkeys((competency(1), competency(2)), Level.MASTERED)
    after = Spec(mastery, numbers(taken(FIRST, REVISED), version=5), before.past)
    swept = after.when(Recalibrate(LEARNER, 5))
    event = swept.events[0]
    assert isinstance(event, Reestimated)
    assert event.gone == (competency(1), competency(2))
    assert levels(*swept.events) == {
        competency(1): Level.UNKNOWN, competency(2): Level.UNKNOWN, competency(11): Level.MASTERED, competency(12): Level.MASTERED,
    }  # fmt: skip
    was, now = before.state.row(competency(1)), swept.state.row(competency(11))
    assert was is not None
    assert now is not None
    assert (now.mean, now.variance, now.scored, now.days) == (was.mean, was.variance, was.scored, was.days)
    goes_on = after.given(*swept.events)
    goes_on.when(Recalibrate(LEARNER, 5)).then_nothing()
    old_item = goes_on.when(CountEvidence(evidence(90, 1, day=40)))
    assert old_item.events[0].competencies[0].competency_id == competency(11)  # type: ignore[attr-defined]  # It is Estimated.


def test_one_competency_that_became_two_counts_for_both_and_two_that_became_one_for_that() -> None:
    split = taken(FIRST, package([item(11), item(12), item(2)], [link("replacedBy", 1, 11), link("replacedBy", 1, 12)]))
    assert split.current((competency(1),)) == (competency(11), competency(12))
    joined = taken(FIRST, package([item(11)], [link("replacedBy", 1, 11), link("replacedBy", 2, 11)]))
    assert joined.current((competency(1), competency(2))) == (competency(11),)
    events = Spec(mastery, numbers(joined)).when(CountEvidence(evidence(1, 1, 2))).events
    assert len(events[0].competencies) == 1  # type: ignore[attr-defined]  # It is Estimated.


def test_what_comes_before_may_lie_in_another_framework() -> None:
    framework = taken(FIRST, package([item(5)], [link("precedes", 2, 5)], identifier=OTHER))
    assert framework.prerequisites[competency(5)] == (competency(2),)
    replaced = taken(framework, REVISED)
    assert replaced.prerequisites[competency(5)] == (competency(12),)


def test_a_cycle_across_frameworks_or_of_revisions_is_refused_by_name() -> None:
    both = taken(FIRST, package([item(5)], [link("precedes", 2, 5)], identifier=OTHER))
    with pytest.raises(BadInput, match=r"prerequisites of all frameworks together form a cycle: 5\.T\.1 -> 5\.T\.2 -> 5\.T\.5 -> 5\.T\.1"):
        taken(both, package([item(1), item(2)], [link("precedes", 1, 2), link("precedes", 5, 1)]))
    with pytest.raises(BadInput, match="revisions of all frameworks together form a cycle"):
        taken(FIRST, package([item(1), item(2)], [link("replacedBy", 1, 2), link("replacedBy", 2, 1)]))


def test_similar_competencies_and_families_are_taken_over() -> None:
    competencies, report = read_package(
        package([item(1, CFItemType="Skill"), item(2)], [link("exactMatchOf", 1, 99), link("isRelatedTo", 2, 1), link("isPeerOf", 98, 97)])
    )
    first, second = competencies
    assert (first.family, second.family) == ("skill", "standard")
    assert first.similar == tuple(sorted((competency(99), second.id)))
    assert second.similar == (first.id,)
    assert (report.unknown_types, report.noted) == ((), {"dangling": 1})


def test_an_older_competency_without_the_new_fields_is_read_as_before() -> None:
    plain = {"id": competency(1), "statement": "Can do 1"}
    assert Competency.model_validate(plain).model_dump(mode="json", exclude_defaults=True) == plain
    assert FRAMEWORK.parse([[plain]]).replaced == {}
    assert DOCUMENT != OTHER


def document(number: int) -> str:
    return f"d0000000-0000-4000-8000-00000000000{number}"


def noted(before: Framework, sent: dict[str, Any]) -> list[str]:
    competencies, report = read_package(sent, before.competencies.keys())
    return [note.code for note in revised(before, report.document, competencies, report.replaced).notes]


ONE = package([item(1), item(2)], [link("precedes", 1, 2)], identifier=document(1))
TWO = package([item(1, fullStatement="Otherwise"), item(3)], [link("precedes", 1, 3)], identifier=document(2))


def test_an_item_that_two_documents_name_stays_in_the_first_and_goes_to_the_other_where_that_drops_it() -> None:
    both = taken(taken(EMPTY, ONE), TWO)
    shared = both.competencies[competency(1)]
    assert (shared.framework, shared.also_in, shared.statement) == (document(1), (document(2),), "Can do 1")
    assert noted(taken(EMPTY, ONE), TWO) == ["of-another-document"]
    assert both.prerequisites[competency(3)] == (competency(1),)
    dropped = taken(both, package([item(3)], identifier=document(2)))
    assert (dropped.competencies[competency(1)].framework, dropped.competencies[competency(1)].also_in) == (document(1), ())
    passed = taken(both, package([item(2)], identifier=document(1)))
    assert (passed.competencies[competency(1)].framework, passed.competencies[competency(1)].assessable) == (document(2), True)
    assert taken(passed, TWO).competencies[competency(1)].statement == "Otherwise"


@pytest.mark.parametrize("order", ["OT", "TO"])
def test_the_same_packages_again_change_nothing_in_whichever_order(order: str) -> None:
    replacing = package([item(1), item(3)], [link("replacedBy", 2, 3)], identifier=document(2))
    framework = EMPTY
    for each in order:
        framework = taken(framework, {"O": ONE, "T": replacing}[each])
    for each in "OTTO":
        assert taken(framework, {"O": ONE, "T": replacing}[each]).competencies == framework.competencies
    assert framework.competencies[competency(2)].replaced_by == (competency(3),)
    assert not framework.competencies[competency(2)].assessable


def test_what_is_replaced_by_nothing_in_force_stays_a_goal_until_it_is() -> None:
    sent = package([item(1), item(2)], [link("replacedBy", 1, 77)])
    assert noted(EMPTY, sent) == ["replaced-elsewhere"]
    alone = taken(EMPTY, sent)
    assert alone.current((competency(1),)) == (competency(1),)
    assert alone.competencies[competency(1)].assessable
    assert taken(alone, sent).competencies == alone.competencies
    both = taken(alone, package([item(77)], identifier=OTHER))
    assert both.current((competency(1),)) == (competency(77),)
    assert not both.competencies[competency(1)].assessable
    heading = taken(alone, package([item(77, CFItemType="Cluster")], identifier=OTHER))
    assert heading.current((competency(1),)) == (competency(1),)


def test_mastery_of_what_is_replaced_by_nothing_in_force_can_be_shown() -> None:
    framework = taken(EMPTY, package([item(1)], [link("replacedBy", 1, 77)]))
    assert levels(*Spec(mastery, numbers(framework)).asked(*counted(strong(0, 1))).past) == {competency(1): Level.MASTERED}


def test_a_cycle_that_only_replacement_closes_is_refused_by_name() -> None:
    both = taken(FIRST, package([item(5)], [link("precedes", 2, 5)], identifier=OTHER))
    closing = package([item(1), item(12)], [link("replacedBy", 2, 12), link("precedes", 5, 12)])
    with pytest.raises(BadInput, match=r"form a cycle, once what was replaced .*: 5\.T\.5 -> 5\.T\.12 -> 5\.T\.5$"):
        taken(both, closing)


def test_what_takes_in_what_came_before_it_is_not_held_back_by_itself() -> None:
    joined = taken(FIRST, package([item(2), item(3)], [link("precedes", 1, 2), link("replacedBy", 1, 2), link("replacedBy", 1, 3)]))
    assert joined.prerequisites == {competency(2): (competency(3),)}


def without(before: Framework, name: str, *known: int) -> tuple[Framework, Withdrawn]:
    after = withdrawn(before, name, [competency(n) for n in known])
    return indexed(after.competencies), after


def test_a_document_that_is_withdrawn_has_no_goals_and_what_learners_know_of_it_stays() -> None:
    both = taken(taken(EMPTY, ONE), package([item(5)], [link("precedes", 2, 5)], identifier=document(4)))
    left, told = without(both, document(1), 1)
    assert {id: known.assessable for id, known in left.competencies.items()} == {competency(1): False, competency(5): True}
    assert (told.changes, told.of_document, told.kept) == (True, (competency(1), competency(2)), (competency(1),))
    assert (told.before_others, told.replaced, told.passed) == ((competency(5),), (), {})
    assert left.prerequisites == {}
    assert not without(left, document(1), 1)[1].changes
    assert not without(left, document(9))[1].changes
    assert taken(left, ONE).competencies == both.competencies


def test_levels_stay_when_their_document_is_withdrawn() -> None:
    seen = Spec(mastery, numbers(FIRST)).asked(*counted([*strong(0, 1), *strong(100, 2, from_day=9)]))
    left, _ = without(FIRST, DOCUMENT, 1, 2)
    swept = Spec(mastery, numbers(left, version=5), seen.past).when(Recalibrate(LEARNER, 5))
    assert levels(*swept.events) == {}
    assert levels(*seen.past) == dict.fromkeys((competency(1), competency(2)), Level.MASTERED)


def test_what_another_document_names_too_stands_in_that_once_its_own_is_withdrawn() -> None:
    left, told = without(taken(taken(EMPTY, ONE), TWO), document(1))
    assert {id: known.framework for id, known in left.competencies.items()} == dict.fromkeys((competency(1), competency(3)), document(2))
    assert (told.passed, told.kept) == ({document(2): 1}, ())
    only = without(taken(taken(EMPTY, ONE), TWO), document(2))[0]
    assert only.competencies == taken(EMPTY, ONE).competencies


def test_what_a_withdrawn_document_replaced_is_a_goal_again_once_its_own_is_imported_again() -> None:
    both = taken(FIRST, package([item(11), item(12)], [link("replacedBy", 1, 11)], identifier=OTHER))
    left, told = without(both, OTHER)
    assert (told.replaced, told.kept) == ((competency(1),), (competency(11),))
    assert left.current((competency(1),)) == (competency(11),)  # Evidence goes on counting for what it counted for.
    again = taken(left, package([item(1), item(2)], [link("precedes", 1, 2)]))
    assert again.current((competency(1),)) == (competency(1),)
    assert again.competencies[competency(1)].assessable


def test_a_new_edition_takes_over_the_items_of_one_that_was_withdrawn() -> None:
    left, _ = without(taken(EMPTY, ONE), document(1), 1, 2)
    new = taken(left, package([item(1), item(2)], identifier=document(3)))
    assert {known.framework for known in new.competencies.values()} == {document(3)}
    assert all(known.assessable for known in new.competencies.values())


def drawn(number: int, draw: Random) -> dict[str, Any]:
    """Return a package of a few items out of nine, any of which other documents may name, too, linked anyhow."""
    items = [
        item(n, CFItemType=draw.choice(["Standard", "Standard", "Cluster", None]), fullStatement=f"{number} {n}")
        for n in draw.sample(range(1, 10), draw.randrange(1, 7))
    ]
    kinds = draw.choices(["precedes", "precedes", "replacedBy", "isChildOf"], k=draw.randrange(5))
    return package(items, [link(kind, *draw.sample(range(1, 10), 2)) for kind in kinds], identifier=document(number))


def test_packages_come_to_rest_and_again_change_nothing_in_any_order() -> None:
    rested = 0
    for seed in range(400):
        draw = Random(seed)
        sent, framework, before = [drawn(n, draw) for n in (1, 2, 3)], EMPTY, None
        try:
            while before is None or framework.competencies != before.competencies:  # What one names may come with a later one.
                before = framework
                for each in sent:
                    framework = taken(framework, each)
                    assert taken(framework, each).competencies == framework.competencies, seed
        except BadInput:
            continue  # A cycle.
        for each in draw.choices(sent, k=4):
            assert taken(framework, each).competencies == framework.competencies, seed
        rested += 1
        for number in (3, 1, 2):
            framework, _ = without(framework, document(number))
            assert not any(document(number) in (known.framework, *known.also_in) for known in framework.competencies.values()), seed
            assert not without(framework, document(number))[1].changes
        assert not any(known.assessable for known in framework.competencies.values()), seed
    assert rested > 300


def test_what_another_document_has_only_as_a_heading_goes_to_the_one_that_has_it_as_a_goal() -> None:
    heading = taken(EMPTY, package([item(1, CFItemType="Cluster"), item(2)], identifier=document(1)))
    both = taken(heading, TWO)
    assert (both.competencies[competency(1)].framework, both.competencies[competency(1)].also_in) == (document(2), (document(1),))
    dropped = taken(both, package([item(3)], identifier=document(2)))
    assert dropped.competencies[competency(1)].framework == document(1)


def test_what_a_new_edition_drops_comes_before_nothing_any_more() -> None:
    known = package([item(2)], [link("precedes", 1, 2)], identifier=document(1))
    first = taken(taken(EMPTY, ONE), known)
    assert first.competencies[competency(2)].prerequisites == ()
    assert taken(first, known).competencies == first.competencies
