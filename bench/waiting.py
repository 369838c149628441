"""What evidence's statements read where much waits, beside where little does: pages of PostgreSQL, which no load of the machine changes.

A district's LMS tells of everything that is graded, and the district aligns some: what waits grows all year. Each learner is known, and all
that waits is of items that nobody has aligned; none of it may cost those who write, release, meter or look at a page anything.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, Final

import psycopg

from bench.bars import Bars
from bench.room import room
from services.evidence.queries import reading, releasing, waiting
from shared.ledger.columns import Texts
from shared.migrate import migrate
from shared.stack import create_database, down, find_stack

LITTLE: Final = 10
"""Waiting acts of each learner at first; then as many as are asked for."""
BAR: Final = 1.5
"""Times the pages; what an index grows by a level is some of it."""
LEARNERS, ITEMS, ALIGNED, BATCH = 1_000, 5_000, 1_000, 200
MADE: Final = (
    f"INSERT INTO alias SELECT md5('a' || g) || md5('b' || g), gen_random_uuid(), 1, g % 8, 0 FROM generate_series(1, {LEARNERS}) g",  # noqa: S608 - our own numbers
    f"INSERT INTO alignment SELECT md5('i' || g)::uuid, 'urn:i:' || g, '[\"C\"]', 1, g % 8, 0 FROM generate_series(1, {ALIGNED}) g",  # noqa: S608
    "INSERT INTO calendar VALUES (1, '2026-08-31', '2026-08-30 10:00+00', 1, 0, 0)",
    "UPDATE noticed SET position = 1",
)  # fmt: skip
RELEASING: Final = "INSERT INTO due_act SELECT partition, position, act_id, alias FROM act ORDER BY 1, 2 LIMIT 1000"
FILL: Final = f"""
    INSERT INTO act SELECT gen_random_uuid(), md5('a' || a) || md5('b' || a), md5('u' || g %% {ITEMS})::uuid, 500000, now(), 'item',
        'caliper', NULL, a %% 8, g, now(), gen_random_uuid(), NULL, NULL, NULL
    FROM generate_series(%s::bigint, %s::bigint) g, LATERAL (SELECT 1 + g %% {LEARNERS} AS a) each"""  # noqa: S608


def statements(aliases: list[str]) -> Mapping[str, tuple[str, Any]]:
    """Return what is asked all the time, each with its values."""
    return {
        f"learners of {BATCH} acts that arrive": (waiting.LEARNERS, [Texts(aliases)]),
        "a look for what may go": (releasing.NEWS, []),
        "what has gone": (releasing.GONE, [releasing.MAX_RELEASED]),
        "what is released next": (releasing.DUE, [releasing.MAX_RELEASED]),
        "how much waits, as metered": (reading.TOTALS, []),
        "a page of what waits": (reading.WAITING, [0, 0, 100]),
    }


def measure(owner_url: str, most: int, bars: Bars) -> None:
    """Fill an empty, migrated database twice, and print what each statement reads then."""
    with psycopg.connect(owner_url, autocommit=True) as owner:
        for statement in MADE:
            owner.execute(statement.encode())
        _fill(owner, 1, LITTLE * LEARNERS)
        owner.execute(RELEASING)
        few = _read(owner)
        _fill(owner, LITTLE * LEARNERS + 1, most)
        many = _read(owner)
        for name, before in few.items():
            print(f"  {name}: {before:,} pages where {LITTLE * LEARNERS:,} wait, {many[name]:,} where {most:,} do", flush=True)
            bars.figure(name, many[name] / before, "times", at_most=BAR)
        plan = _explained(owner, reading.WAITING_SAMPLE, [min(100.0, 100.0 * reading.SAMPLE / most)])
        print(f"  only where it is asked for: a sample of why acts wait, {_pages(plan):,} pages", flush=True)


def _fill(owner: psycopg.Connection[Any], first: int, last: int) -> None:
    owner.execute(FILL, [first, last])


def _read(owner: psycopg.Connection[Any]) -> dict[str, int]:
    owner.execute("VACUUM ANALYZE")
    aliases = [row[0] for row in owner.execute("SELECT alias FROM alias ORDER BY alias LIMIT %s", [BATCH]).fetchall()]
    return {name: _pages(_explained(owner, *asked)) for name, asked in statements(aliases).items()}


def _explained(owner: psycopg.Connection[Any], statement: str, values: Any) -> Any:
    row = owner.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}".encode(), values).fetchone()
    assert row is not None
    return row[0][0]


def _pages(plan: Any) -> int:
    return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])


def main() -> int:
    """Measure on servers of its own, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.waiting", description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=1_000_000, help="acts that wait at the end")
    options, bars = parser.parse_args(), Bars()
    with room() as home:
        try:
            made = create_database(find_stack(home, print).postgres_url, "evidence", home)
            migrate("evidence", made.owner_url)
            measure(made.owner_url, options.most, bars)
        finally:
            down(home, wipe=True)
    return bars.close()


if __name__ == "__main__":
    raise SystemExit(main())
