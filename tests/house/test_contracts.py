"""What every event keeps to: integers only, and defaults that never change, since what equals its default is not written.

`python -m tests.house.test_contracts` notes the defaults of new fields; it refuses to change one that is noted.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from pydantic_core import to_jsonable_python

from shared.consume.inward import Inward
from shared.contracts import EVENTS
from shared.contracts.envelope import Event, Header, Part, StreamId, canonical
from shared.contracts.topics import Topic
from shared.ledger import Trouble
from shared.parts import Subscription
from shared.testing import recorded

NOTED = Path(__file__).parent / "defaults.json"
GOLDEN = Path(__file__).parents[1] / "contracts" / "golden"


def parts_of(kind: type[Part]) -> Iterator[type[Part]]:
    """Yield a class of event and every class of value inside it."""
    seen: set[type[Part]] = set()
    waiting: list[Any] = [kind]
    while waiting:
        found = waiting.pop()
        if isinstance(found, type) and issubclass(found, Part):
            if found not in seen:
                seen.add(found)
                yield found
                waiting.extend(field.annotation for field in found.model_fields.values())
        else:
            waiting.extend(get_args(found))


def defaults() -> dict[str, Any]:
    """Return the default of every field that has one, by type or class and field."""
    found: dict[str, Any] = {}
    for type_name, event in EVENTS.items():
        for part in parts_of(event):
            label = type_name if part is event else f"{part.__module__}.{part.__qualname__}"
            for name, field in part.model_fields.items():
                if not field.is_required():
                    found[f"{label}:{name}"] = to_jsonable_python(field.get_default(call_default_factory=True))
    return dict(sorted(found.items()))


def differing(noted: dict[str, Any]) -> list[str]:
    """Return the fields whose default is another one, or which have none any more."""
    now = defaults()
    return [name for name, default in noted.items() if name not in now or (now[name], type(now[name])) != (default, type(default))]


def test_a_default_never_changes() -> None:
    noted = json.loads(NOTED.read_text())
    assert not differing(noted), "old bytes would be read otherwise: add another field in place of it"
    assert noted.keys() == defaults().keys(), "note the new ones: python -m tests.house.test_contracts"


@pytest.mark.parametrize("type_name", sorted(EVENTS))
def test_an_event_holds_no_floats(type_name: str) -> None:
    event: type[Event] = EVENTS[type_name]
    numbers = [
        f"{part.__qualname__}.{name}"
        for part in parts_of(event)
        for name, schema in part.model_json_schema(ref_template="{model}").get("properties", {}).items()
        if '"type": "number"' in json.dumps(schema)
    ]
    assert not numbers, "integers in micro-units (_e6) or milliseconds (_ms)"


@pytest.mark.parametrize("type_name", sorted(EVENTS))
def test_a_field_that_this_release_does_not_know_is_not_dropped(type_name: str) -> None:
    """The record is parked, and waits for the release that knows it."""
    event: type[Event] = EVENTS[type_name]
    data = json.loads((GOLDEN / f"{type_name}.minimal.json").read_text())
    service = type_name.split(".")[0]
    known = recorded(StreamId(service, "x", "1"), [event.model_validate(data)])[0]
    newer = orjson.loads(known.raw)
    newer["data"]["of_a_later_release"] = 1
    inward = Inward(Subscription((Topic.PROFILE,), lambda event: (), (event,)))
    assert inward.asks(Header.read(known.raw), 0)[1] is None
    _, trouble, reason = inward.asks(Header.read(canonical(newer)), 0)
    assert trouble is Trouble.POISON
    assert "of_a_later_release" in reason
    assert all(part.model_config["extra"] == "forbid" for part in parts_of(event))


if __name__ == "__main__":
    before = json.loads(NOTED.read_text()) if NOTED.exists() else {}
    if differing(before):
        raise SystemExit(f"these defaults are noted otherwise, and a default never changes: {differing(before)}")
    NOTED.write_text(json.dumps(defaults(), indent=1) + "\n")
