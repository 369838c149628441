"""Calibrations over HTTP: what is let in, what is refused, and what the record says of it."""

import asyncio
import struct
from typing import Any
from uuid import UUID

import pytest

from services.mastery.app import defaults
from services.mastery.calibration import CALIBRATION, DEFAULT_ENTRIES, parse
from services.mastery.codec import encode
from services.mastery.filter import Normal, carried, predict, update
from services.mastery.fitting.fit import FREE
from services.mastery.publication import EASIEST_E6, MOST_E6, NOISIEST_E6, read_entries
from services.mastery.state import State
from shared.contracts.envelope import MICRO
from shared.errors import BadInput
from shared.exact import micro
from shared.parameters import NO_PARAMETERS
from shared.settings_stream import adoption

ITEM = "7d1f1a52-0000-4000-8000-000000000009"
MADE = {
    "entry": "made", "responses": 4000, "learners": 60, "seed": 1, "folds": 5, "auc_e6": 780_000, "rmse_e6": 417_000,
    "log_loss_e6": 520_000, "ece_e6": 8_000, "bias_e6": -4_000, "before_id": "", "before_log_loss_e6": 560_000,
    "first_at": "2026-01-05T08:00:00.000000Z", "last_at": "2026-02-05T08:00:00.000000Z",
}  # fmt: skip


def a_set(**made: Any) -> list[dict[str, Any]]:
    return [
        *map(dict, DEFAULT_ENTRIES), MADE | made, {"entry": "competency", "competency_id": "5.NF.A.1", "easiness_e6": -300_000},
        {"entry": "item", "item_id": ITEM, "easiness_e6": 250_000},
    ]  # fmt: skip


async def in_force(service: Any) -> dict[str, Any]:
    answer = await service.client.get("/mastery/calibrations/in-force")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def put(service: Any, entries: Any, **beside: Any) -> Any:
    return await service.client.put("/mastery/calibrations", json={"entries": entries, **beside})


async def test_a_better_one_takes_the_place_of_what_ships_and_says_how_it_was_made(service: Any) -> None:
    shipped = await in_force(service)
    assert shipped["entries"] == list(map(dict, DEFAULT_ENTRIES))
    entries = a_set(before_id=shipped["set_id"])
    answer = await put(service, entries)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["before_id"], answer.json()["events"]) == (shipped["set_id"], 2)
    now = await in_force(service)
    assert (now["set_id"], now["entries"]) == (answer.json()["set_id"], entries)
    calibration = (await service.context.asker.parameters()).get(CALIBRATION)
    assert calibration.reference_of("5.NF.A.1") == -0.3
    assert (await put(service, entries)).json()["events"] == 0, "the same again changes nothing"
    old = (await service.client.get(f"/mastery/calibrations/{shipped['set_id']}")).json()
    assert (old["in_force"], old["entries"]) == (False, shipped["entries"])


async def test_one_that_is_no_better_needs_a_reason_which_is_kept(service: Any) -> None:
    entries = a_set(before_id=(await in_force(service))["set_id"], log_loss_e6=560_000)
    refused = await put(service, entries)
    assert refused.status_code == 409, refused.text
    assert "--force --why" in refused.json()["detail"]
    assert (await put(service, entries, why="new items")).json()["events"] == 2
    assert next(entry for entry in (await in_force(service))["entries"] if entry["entry"] == "made")["why"] == "new items"
    assert (await put(service, entries, why="new items")).json()["events"] == 0


async def test_one_that_was_held_against_another_set_is_stale(service: Any) -> None:
    refused = await put(service, a_set(before_id="0" * 64))
    assert refused.status_code == 409
    assert "calibrate again" in refused.json()["detail"]


async def test_of_two_that_come_at_once_the_second_is_stale(service: Any) -> None:
    shipped = (await in_force(service))["set_id"]
    answers = await asyncio.gather(*(put(service, a_set(before_id=shipped, seed=seed)) for seed in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    (published,) = [answer.json()["set_id"] for answer in answers if answer.status_code == 200]
    assert (await in_force(service))["set_id"] == published
    assert {answer.json()["errors"][0]["code"] for answer in answers if answer.status_code == 409} == {"stale"}


async def test_what_ships_never_takes_the_place_of_what_was_published_while_a_worker_started(service: Any) -> None:
    read_before = defaults(NO_PARAMETERS)
    published = (await put(service, a_set(before_id=(await in_force(service))["set_id"]))).json()["set_id"]
    *_, answer = await service.context.asker.ask(read_before)
    assert answer.refusal.code == "stale"
    assert (await in_force(service))["set_id"] == published


async def test_an_unknown_set_is_not_found(service: Any) -> None:
    assert (await service.client.get(f"/mastery/calibrations/{'0' * 64}")).status_code == 404


@pytest.mark.parametrize(
    ("entries", "place"),
    [
        ([], "/entries"),
        ("text", "/entries"),
        ([{"entry": "essay"}], "/entries/0"),
        ([*a_set(), {"entry": "item", "item_id": "no", "easiness_e6": 0}], "/entries/11/item_id"),
        ([*a_set(), {"entry": "item", "item_id": ITEM, "easiness_e6": 0}], "/entries/11"),
        ([*a_set(), {"entry": "competency", "competency_id": "x", "easiness_e6": True}], "/entries/11/easiness_e6"),
        ([entry for entry in a_set() if entry["entry"] != "made"], "/entries"),
        ([DEFAULT_ENTRIES[0] | {"form_keep_e6": 1_000_000}, *a_set()[1:]], "/entries/0/form_keep_e6"),
        ([DEFAULT_ENTRIES[0] | {"gain_wrong_e6": 50_000}, *a_set()[1:]], "/entries/0/gain_right_e6"),
        ([DEFAULT_ENTRIES[0] | {"competency_noise_e6": -1}, *a_set()[1:]], "/entries/0/competency_noise_e6"),
        ([DEFAULT_ENTRIES[0] | {"general_noise_e6": 100_001}, *a_set()[1:]], "/entries/0/general_noise_e6"),
        ([DEFAULT_ENTRIES[0] | {"form_noise_e6": 100_001}, *a_set()[1:]], "/entries/0/form_noise_e6"),
        ([a_set()[0], DEFAULT_ENTRIES[1] | {"bar_e6": 1_000_000}, *a_set()[2:]], "/entries/1/bar_e6"),
        ([a_set()[0], DEFAULT_ENTRIES[1] | {"verify_below_e6": 900_000}, *a_set()[2:]], "/entries/1/certainty_e6"),
        ([a_set()[0], DEFAULT_ENTRIES[1] | {"items": 3, "scored": 2}, *a_set()[2:]], "/entries/1/items"),
        (a_set(auc_e6="much"), "/entries/8/auc_e6"),
        (a_set(responses="4000"), "/entries/8/responses"),
    ],
)
def test_what_is_wrong_with_a_set_is_named_with_its_place(entries: Any, place: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_entries(entries)
    assert caught.value.faults[0].place == place


def test_doubt_that_a_set_lets_grow_stays_within_what_a_state_holds() -> None:
    most = dict.fromkeys(("general_variance_e6", "form_variance_e6", "competency_variance_e6"), MOST_E6)
    loose = {"form_keep_e6": 999_999, "general_noise_e6": NOISIEST_E6, "form_noise_e6": NOISIEST_E6}
    entries = read_entries([DEFAULT_ENTRIES[0] | most | loose, *a_set()[1:]])
    numbers = parse([entries]).numbers
    general, form = Normal(0.0, numbers.general_variance), Normal(0.0, numbers.form_variance)
    competency = Normal(0.0, numbers.competency_variance)
    for _ in range(20_000):  # Answers that are always right, more than a learner gives in all years of school.
        expected = predict(EASIEST_E6 / MICRO, general, form, [competency])
        general, form, (competency,) = update(expected, 1.0, 1.0, general, form, [competency], numbers)
        form = carried(form, numbers)
    assert general.variance > 1_000.0
    assert encode(State(general=(micro(general.mean), micro(general.variance)), form=(micro(form.mean), micro(form.variance))))
    with pytest.raises(struct.error):
        encode(State(general=(0, 20_000 * 50 * NOISIEST_E6)))


def test_what_is_fitted_may_be_published() -> None:
    for noise in (free for free in FREE if free.name in ("general_noise", "form_noise")):
        assert noise.most * MICRO <= NOISIEST_E6


async def test_what_was_published_before_there_was_a_bound_stays_readable(service: Any) -> None:
    loud = [DEFAULT_ENTRIES[0] | {"general_noise_e6": 5_000_000}, *a_set()[1:]]
    commands = adoption("mastery", CALIBRATION, loud)
    await service.context.asker.ask(commands, UUID(int=5))
    assert (await in_force(service))["entries"] == loud
    refused = await put(service, loud)
    assert (refused.status_code, refused.json()["errors"][0]["place"]) == (422, "/entries/0/general_noise_e6")


async def test_a_calibration_is_taken_back_with_a_reason_and_so_is_what_ships(service: Any) -> None:
    shipped = await in_force(service)
    first = (await put(service, a_set(before_id=shipped["set_id"]))).json()["set_id"]
    second = (await put(service, a_set(before_id=first, seed=2))).json()["set_id"]
    refused = await put(service, a_set(before_id=shipped["set_id"]))
    assert (refused.status_code, "cairn mastery calibration restore" in refused.json()["detail"]) == (409, True)
    for set_id, numbers in ((first, a_set()), (shipped["set_id"], shipped["entries"])):
        path, said = f"/mastery/calibrations/{set_id}/restoration", {"why": "the second was a mistake"}
        answer = await service.client.post(path, json=said)
        assert answer.status_code == 200, answer.text
        now = await in_force(service)
        assert (now["set_id"], answer.json()["events"] > 0) == (answer.json()["set_id"], True)
        assert [entry for entry in now["entries"] if entry["entry"] != "made"] == [entry for entry in numbers if entry["entry"] != "made"]
        (made,) = [entry for entry in now["entries"] if entry["entry"] == "made"]
        assert (made["why"], made["restored_id"]) == ("the second was a mistake", set_id)
        assert (await service.client.post(path, json=said)).json()["events"] == 0, "the same again changes nothing"
    assert (await put(service, a_set(before_id=now["set_id"]))).status_code == 200, "another one may follow"
    assert (await service.client.post(f"/mastery/calibrations/{second}/restoration", json={"why": " "})).status_code == 422
    assert (await service.client.post(f"/mastery/calibrations/{'0' * 64}/restoration", json={"why": "so"})).status_code == 404
