"""What scheduling keeps in memory between two searches, and between two decisions, has bounds, however many schools a district has."""

from __future__ import annotations

import tracemalloc

from services.scheduling import search
from services.scheduling.domain.codec import CODEC, DayState
from services.scheduling.grouping import Problem
from services.scheduling.grouping import search as searched
from services.scheduling.search import MAX_PARSED, Parsed
from shared.ledger.states import MAX_BYTES
from tests.scheduling.school import applied, made_demand, made_demands, made_school, staff

SCHOOLS, LEARNERS = 20, 100
MIB = 1024 * 1024


def test_a_line_that_stays_as_it_is_is_parsed_once_while_there_is_room() -> None:
    parsed: list[str] = []
    lines = Parsed(lambda text: parsed.append(text) or text.upper(), most=6)
    assert lines.of("ab\ncd\nef") == ["AB", "CD", "EF"]
    assert lines.of("ab\ncd\nef") == ["AB", "CD", "EF"]
    assert parsed == ["ab", "cd", "ef"]
    assert lines.of("gh\nef\nab") == ["GH", "EF", "AB"]
    assert parsed == ["ab", "cd", "ef", "gh", "ab"], "what was asked for longest ago has gone"
    assert lines.of("longer than all that is kept") == ["LONGER THAN ALL THAT IS KEPT"]
    assert len(lines) == 0
    assert lines.of("") == []


def test_what_a_search_process_keeps_does_not_grow_with_the_schools_of_a_district() -> None:
    line = made_demand(1, 1, 1_000_000).model_dump_json()
    padded = line + " " * (MAX_PARSED // (3 * LEARNERS) - len(line))  # So that three schools fill it.
    for school in range(SCHOOLS):
        versions = range(school * LEARNERS + 1_000_000, (school + 1) * LEARNERS + 1_000_000)
        told = search._demands.of("\n".join(padded.replace("1000000", str(version)) for version in versions))
        assert [demand.version for demand in told] == list(versions)
    assert 0 < len(search._demands) * len(padded) <= MAX_PARSED


def test_the_days_that_a_service_keeps_decoded_take_no_more_memory_than_there_is() -> None:
    school, demands = made_school(1, LEARNERS), made_demands(1, LEARNERS)
    problem = Problem(school, staff(12), demands, {})
    plan, _ = searched(problem, None)
    days = {who: tuple(day) for who, day in applied(problem, plan).items()}
    encoded = CODEC.encode(DayState(demands=demands, days=days, staff=staff(12)))
    tracemalloc.start()
    try:
        kept = CODEC.decode(encoded)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept.demands == demands
    assert held / len(encoded) / CODEC.bulk * MAX_BYTES < 160 * MIB
