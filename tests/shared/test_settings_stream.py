"""The decider that every service shares: which pages are known, which set of each kind is in force; and how parsed sets are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st

from shared.contracts.envelope import canonical
from shared.contracts.mastery import CalibrationPublished, FrameworkAdopted, MasteryPageAdded
from shared.contracts.parameters import set_id_of
from shared.contracts.pathing import CatalogueAdopted, FrameworkNoted, PathingPageAdded
from shared.decider import Refusal
from shared.parameters import MAX_PARSED, ParameterKind, Parameters, Parser, page_hash
from shared.settings_stream import AddPage, AdoptSet, adoption, settings_decider
from shared.testing import Spec, check_decider

FRAMEWORK = ParameterKind(FrameworkAdopted, list)
CALIBRATION = ParameterKind(CalibrationPublished, list)
settings = settings_decider("mastery", MasteryPageAdded, [FRAMEWORK, CALIBRATION])
PAGES = ([1], [2], [])
ADDED = tuple(AddPage("mastery", page) for page in PAGES)


def adopt(*pages: Sequence[Any], kind: str = "framework") -> AdoptSet:
    return AdoptSet("mastery", kind, tuple(page_hash(page) for page in pages))


def test_a_page_is_added_once() -> None:
    Spec(settings).when(ADDED[0]).then(MasteryPageAdded(content=[1]))
    Spec(settings).asked(ADDED[0]).when(ADDED[0]).then_nothing()


def test_a_set_is_adopted_once_its_pages_are_known_and_again_after_another() -> None:
    one, two = adopt([1]), adopt([2], [1])
    Spec(settings).asked(ADDED[0]).when(two).then_refused("missing-page")
    known = Spec(settings).asked(*ADDED)
    known.when(one).then(FrameworkAdopted(set_id=set_id_of("framework", one.pages), pages=one.pages))
    known.asked(one).when(one).then_nothing()
    known.asked(one, two).when(one).then_types(FrameworkAdopted)


def test_pages_of_a_set_that_was_replaced_are_forgotten_but_for_those_in_force() -> None:
    told = Spec(settings).asked(*ADDED, adopt([1], [2]), adopt([1], kind="calibration"), adopt([2], []))
    told.when(AddPage("mastery", [1])).then_nothing()
    told.when(AddPage("mastery", [2])).then_nothing()
    told = told.asked(adopt([]))
    told.when(AddPage("mastery", [2])).then(MasteryPageAdded(content=[2]))
    told.when(adopt([2])).then_refused("missing-page")
    told.asked(AddPage("mastery", [2])).when(adopt([2])).then_types(FrameworkAdopted)


def test_whoever_asked_from_a_set_that_was_replaced_is_told_so_before_its_forgotten_pages_are_missed() -> None:
    told = Spec(settings).asked(*ADDED, adopt([1]), adopt([2]))
    told.when(replace(adopt([1], []), base=set_id_of("framework", adopt([1]).pages))).then_refused("stale")


def test_what_is_known_does_not_grow_with_what_is_replaced() -> None:
    state = settings.initial
    for number in range(50):
        for command in adoption("mastery", CALIBRATION, [0, number], together=1):
            answered = settings.decide(command, state, Parameters(), ())
            assert not isinstance(answered, Refusal)
            state = settings.fold(answered, state)
        assert state.pages == {page_hash([0]), page_hash([number])}


def test_pages_that_another_service_tells_once_are_never_forgotten() -> None:
    copied = settings_decider("pathing", PathingPageAdded, [ParameterKind(FrameworkNoted, list), ParameterKind(CatalogueAdopted, list)])
    pages = tuple(AddPage("pathing", page) for page in PAGES)
    framework = [replace(adopt(page), service="pathing", version=version) for version, page in enumerate(([1], [2], [1]), 1)]
    catalogue = [replace(adopt(page, kind="catalogue"), service="pathing") for page in ([], [2])]
    told = Spec(copied).asked(*pages, *framework[:2], *catalogue)
    told.when(framework[2]).then_types(FrameworkNoted)
    told.when(catalogue[0]).then_types(CatalogueAdopted)


def test_the_same_pages_as_another_kind_are_another_set() -> None:
    known = Spec(settings).asked(*ADDED, adopt([1]))
    known.when(adopt([1], kind="calibration")).then_types(CalibrationPublished)
    known.when(adopt([1], kind="catalogue")).then_refused("unknown-kind")


def test_an_older_set_of_another_service_that_is_heard_again_changes_nothing() -> None:
    copied = settings_decider("pathing", PathingPageAdded, [ParameterKind(FrameworkNoted, list)])
    pages = tuple(AddPage("pathing", page) for page in PAGES)
    first, second, third = (replace(adopt(page), service="pathing", version=version) for page, version in (([1], 1), ([2], 4), ([1], 6)))
    told = Spec(copied).asked(*pages, first, second)
    told.when(first).then_nothing()
    told.when(third).then(FrameworkNoted(set_id=set_id_of("framework", first.pages), pages=first.pages, version=6))
    told.asked(third).when(second).then_nothing()


def test_sets_heard_before_versions_were_noted_are_decided_as_they_were() -> None:
    copied = settings_decider("pathing", PathingPageAdded, [ParameterKind(FrameworkNoted, list)])
    pages = tuple(AddPage("pathing", page) for page in PAGES)
    first, second = (replace(adopt(page), service="pathing") for page in ([1], [2]))
    Spec(copied).asked(*pages, first, second).when(first).then(
        FrameworkNoted(set_id=set_id_of("framework", first.pages), pages=first.pages)
    )
    check_decider(
        copied, st.lists(st.sampled_from((*pages, first, second, replace(first, version=3), replace(second, version=2))), max_size=8)
    )


def test_a_set_whose_base_is_no_longer_in_force_is_refused_and_one_without_a_base_never() -> None:
    one, two, both = adopt([1]), adopt([2]), adopt([1], [2])
    first, second = set_id_of("framework", one.pages), set_id_of("framework", two.pages)
    known = Spec(settings).asked(*ADDED)
    known.when(replace(one, base="")).then_types(FrameworkAdopted)
    known.when(replace(one, base=first)).then_refused("stale")
    known.asked(one).when(replace(both, base="")).then_refused("stale")
    known.asked(one, two).when(replace(both, base=first)).then_refused("stale")
    known = known.asked(one, two, ADDED[0])
    known.when(replace(both, base=second)).then_types(FrameworkAdopted)
    known.when(both).then_types(FrameworkAdopted)
    Spec(settings).asked(*ADDED, one, replace(two, base=first)).when(replace(two, base=first)).then_nothing()


def test_a_base_is_part_of_no_event_so_that_what_is_stored_is_decided_as_it_was() -> None:
    one, two = adopt([1]), adopt([2])
    known = Spec(settings).asked(*ADDED, one)
    known.when(replace(two, base=set_id_of("framework", one.pages))).then(
        FrameworkAdopted(set_id=set_id_of("framework", two.pages), pages=two.pages)
    )
    asked_again = settings.command_of(FrameworkAdopted(set_id=set_id_of("framework", two.pages), pages=two.pages))
    assert isinstance(asked_again, AdoptSet)
    assert asked_again.base is None


def test_the_decider_has_the_four_properties() -> None:
    sets = st.lists(st.sampled_from(PAGES), max_size=3).map(lambda pages: adopt(*pages))
    others = st.lists(st.sampled_from(PAGES), max_size=2).map(lambda pages: adopt(*pages, kind="calibration"))
    bases = st.sampled_from([None, "", *(set_id_of("framework", adopt(page).pages) for page in PAGES)])
    based = st.builds(lambda known, base: replace(known, base=base), sets, bases)
    check_decider(settings, st.lists(st.sampled_from(ADDED) | based | others, max_size=12))


@pytest.mark.parametrize(("count", "together", "pages"), [(1, 1, 1), (7, 3, 3), (7, None, 1), (0, 3, 1)])
def test_an_item_that_grows_moves_no_other_to_another_page(count: int, together: int | None, pages: int) -> None:
    def added(sizes: Sequence[int]) -> list[Any]:
        commands = adoption("mastery", CALIBRATION, ["x" * size for size in sizes], together=together)
        return [command.content for command in commands if isinstance(command, AddPage)]

    before = added([9] * count)
    assert [len(page) for page in before] == [min(together or count, count - n * (together or 0)) for n in range(pages)]
    for place in range(count):
        after = added([9] * place + [90_000] + [9] * (count - place - 1))
        assert sum(page != grown for page, grown in zip(before, after, strict=True)) == 1


def test_of_parsed_sets_those_used_last_are_kept_and_the_others_parsed_again() -> None:
    parsed: list[int] = []

    def parse(pages: Sequence[Any]) -> list[Any]:
        parsed.append(pages[0][0])
        return list(pages)

    kind = ParameterKind(FrameworkAdopted, parse)
    parser = Parser([kind])

    def ask(number: int) -> Any:
        *_, last = adoption("mastery", kind, [number])
        assert isinstance(last, AdoptSet)
        in_force = {kind.name: (set_id_of(kind.name, last.pages), last.pages)}
        pages = {last.pages[0]: canonical([number])}
        assert parser.missing(in_force) in ([], list(last.pages))
        return parser.parameters(number, in_force, pages).get(kind)

    for number in range(MAX_PARSED):
        assert ask(number) == [[number]]
    ask(0)
    ask(MAX_PARSED)
    assert parsed == list(range(MAX_PARSED + 1))
    ask(0)
    assert parsed == list(range(MAX_PARSED + 1)), "used lately, so it was kept"
    ask(1)
    assert parsed[-1] == 1, "used least lately, so it had gone"
