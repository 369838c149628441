"""What a request that puts something in force is answered: what it asked, also where others ask right behind it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from services.cli.verify import parts_of
from shared.ledger.types import Answer
from shared.stack import ServiceDatabase
from shared.testing import running
from tests.pathing.district import activity
from tests.scheduling.school import made_school

SCHOOLS = [made_school(1, 30, 4, 6).model_copy(update={"timezone": zone}) for zone in ("Europe/Berlin", "Pacific/Auckland")]
TEACHER = "00000000-0000-0000-0000-000000000007"
PUT = {
    "/scheduling/resources": ("set_id", [{"schools": [each.model_dump(mode="json", exclude_defaults=True)]} for each in SCHOOLS]),
    "/mastery/policy": ("policy_id", [{"policies": [{"scored": scored}]} for scored in (20, 40)]),
    "/pathing/activities": ("catalogue_id", [{"activities": [activity(id, "A")]} for id in ("a", "b")]),
    "/evidence/calendar": ("first_day", [{"first_day": f"20{year}-09-01", "author_id": TEACHER} for year in (25, 24)]),
}
"""Path -> the name under which the answer tells what is in force, and two bodies."""


@pytest.mark.parametrize("path", PUT)
async def test_what_is_put_in_force_is_told_though_another_comes_right_behind(
    path: str, database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    service_name = path.split("/")[1]
    name, (first, second) = PUT[path]
    async with running(parts_of(service_name), database(service_name)) as service:
        ask, others = service.asker.ask, [second]

        async def overtaken(commands: Sequence[Any]) -> list[Answer]:
            answers: list[Answer] = await ask(commands)
            if others:
                await put(others.pop())
            return answers

        async def put(body: Any) -> Any:
            answer = await service.client.put(path, json=body)
            assert answer.status_code == 200, answer.text
            told.append(answer.json()[name])
            return told[-1]

        told: list[Any] = []
        monkeypatch.setattr(service.asker, "ask", overtaken)
        mine = await put(first)
        assert told == [told[0], mine]
        assert mine != told[0]
        assert others == []
