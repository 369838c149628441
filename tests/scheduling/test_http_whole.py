"""Resources that are sent as a whole, beside the hours of today and the dates that are told: what is over, and what goes on."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from tests.scheduling.school import TUESDAY, WEDNESDAY
from tests.scheduling.test_http import everything, planned, resources, service
from tests.scheduling.test_http_dates import DATE, MINE, SCHOOLS, put, put_whole, sent_whole

__all__ = ["service"]


@pytest.mark.parametrize("address", [SCHOOLS, MINE])
async def test_hours_of_today_stay_as_long_as_the_day_goes_on_before_or_after(service: Any, address: str) -> None:
    sent = partial(sent_whole, service, address)
    await planned(service)
    usual = resources()["schools"][0]
    service.context.clock.advance(timedelta(hours=2, minutes=38))  # 09:38: two of four periods have begun, the next one is still to come.
    assert await sent(usual | {"periods": usual["periods"][1:2]}) == (409, "begun"), "none would be to come"
    fresh = {"id": "new", "starts": "09:35", "ends": "09:39"}
    assert await sent(usual | {"periods": [*usual["periods"][:2], fresh, *usual["periods"][2:]]}) == (409, "begun")
    later = fresh | {"starts": "09:39", "ends": "09:40"}
    assert await sent(usual | {"periods": [*usual["periods"][:2], later, *usual["periods"][2:]]}) == (200, "")
    assert await sent(usual) == (200, "")
    service.context.clock.advance(timedelta(hours=8))
    evening = {"id": "evening", "starts": "19:00", "ends": "19:30"}
    assert await sent(usual | {"periods": [*usual["periods"][1:], evening]}) == (409, "begun"), "the day would go on"
    assert await sent(usual | {"periods": [*usual["periods"], evening]}) == (200, "")


@pytest.mark.parametrize("address", [SCHOOLS, MINE])
async def test_dates_that_are_over_hold_up_nothing(service: Any, address: str) -> None:
    """Of a day that was closed it is kept that it was, of others nothing: nobody who sends resources has to know of them."""
    sent = partial(sent_whole, service, address)
    await planned(service)
    usual = resources()["schools"][0]
    await put(service, closed=True, closed_spaces=[usual["spaces"][0]["id"]])
    await put(service, DATE.replace(str(WEDNESDAY), str(TUESDAY)), closed_spaces=[usual["spaces"][0]["id"]])
    service.context.clock.advance(timedelta(days=2))
    fewer = usual | {"spaces": usual["spaces"][1:]}
    assert await sent(fewer) == (200, ""), "it does not have to fit"
    (stored,) = await everything(service, "resources")
    assert [one["on"] for one in stored["days"]] == [WEDNESDAY.isoformat()]
    fair = {"on": (TUESDAY + timedelta(days=3)).isoformat(), "reason": "fair"}
    assert await sent(fewer | {"days": [fair]}) == (200, ""), "nobody's word of a day to come is lost"
    reopened = {"on": WEDNESDAY.isoformat(), "reason": "open"}
    for days in ([fair], [fair, reopened], []):
        answer = await put_whole(service, address, fewer | {"days": days}, base=await base_now(service, address, fewer))
        assert answer.status_code == 200, answer.text
        (stored,) = await everything(service, "resources")
        assert (stored["days"][0]["on"], stored["days"][0]["closed"], stored["days"][0].get("reason", "")) == (
            WEDNESDAY.isoformat(), True, ""
        )  # fmt: skip
        assert [one["on"] for one in stored["days"][1:]] == [one["on"] for one in days if one == fair]


async def base_now(service: Any, address: str, school: Any) -> str:
    """Return what a look tells of the dates, as whoever replaces them sends it."""
    return str((await put_whole(service, address, school | {"days": []}, dry_run=True)).json()["base"])
