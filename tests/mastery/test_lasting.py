"""What is over, or counts by now, costs nothing any more, however much of it there is."""

from typing import Any

from services.mastery.queries import deferred_now, due, reading
from tests.mastery.samples import MONDAY

ENDED = """
    INSERT INTO override SELECT gen_random_uuid(), 'C', 'mastered', now(), gen_random_uuid(), 'teacher', 'other', NULL, now(), 1, {ended}
    FROM generate_series(1, {count})"""
FRAMEWORK = (
    "INSERT INTO framework_page SELECT 'p', 'known-' || g, '', '', '', true, '[]' FROM generate_series(1, 3) g",
    "INSERT INTO framework_in_force VALUES ('framework', '[\"p\"]', 1)",
)
DEFERRED = """
    INSERT INTO deferred SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), {names}, now(), now(), 1
    FROM generate_series(1, {count}) g"""
COUNTED, WAITING, VOID = "jsonb_build_array('known-' || (1 + g % 3))", "jsonb_build_array('new-' || g % 2)", "'[]'"
FIRST = "00000000-0000-0000-0000-000000000000"


async def pages(connection: Any, statement: str, values: Any) -> int:
    await connection.execute("ANALYZE override, deferred, framework_page")
    for _ in range(2):
        ((plan,),) = await (await connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", values)).fetchall()
    return int(plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"])


async def test_overrides_that_have_ended_are_not_gone_through(service: Any) -> None:
    async with service.pool.connection() as connection:
        found = []
        for count in (10, 20_000):
            await connection.execute(ENDED.format(ended="true", count=count))
            found.append(await pages(connection, due._ENDING, [MONDAY.replace(year=2100), 500]))
        assert found[1] <= found[0] + 5
        await connection.execute(ENDED.format(ended="false", count=3))
        assert len(await due.overrides_that_end(connection, MONDAY.replace(year=2100))) == 3
        assert await due.overrides_that_end(connection, MONDAY.replace(year=2000)) == []


async def test_deferred_evidence_that_counts_is_not_gone_through_and_what_waits_is_found(service: Any) -> None:
    async with service.pool.connection() as connection:
        for statement in FRAMEWORK:
            await connection.execute(statement)
        count_pages, list_pages = [], []
        for count in (10, 20_000):
            for names in (COUNTED, VOID):
                await connection.execute(DEFERRED.format(names=names, count=count))
            count_pages.append(await pages(connection, due._COUNT, []))
            list_pages.append(await pages(connection, reading._DEFERRED, {"after": FIRST, "most": 10}))
        assert (count_pages[1] <= count_pages[0] + 20, list_pages[1] <= list_pages[0] + 20) == (True, True), (count_pages, list_pages)
        assert await deferred_now(connection) == 0
        await connection.execute(DEFERRED.format(names=WAITING, count=7))
        assert await deferred_now(connection) == 7
        await connection.commit()
    first = (await service.client.get("/mastery/waiting", params={"limit": 5})).raise_for_status().json()
    rest = (await service.client.get("/mastery/waiting", params={"limit": 5, "after": first["next"]})).raise_for_status().json()
    listed = [each["evidence_id"] for each in first["items"] + rest["items"]]
    assert (len(first["items"]), len(set(listed)), listed) == (5, 7, sorted(listed))
