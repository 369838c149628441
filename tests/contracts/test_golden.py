"""Every published type keeps a full and a minimal example; all of them must parse, and give the same bytes, for ever."""

import json
from pathlib import Path

import pytest

from shared.contracts import EVENTS, event_class
from shared.contracts.envelope import canonical

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("form", ["full", "minimal"])
@pytest.mark.parametrize("type_name", sorted(EVENTS))
def test_an_example_of_every_type_gives_its_own_bytes(type_name: str, form: str) -> None:
    example = json.loads((GOLDEN / f"{type_name}.{form}.json").read_text())
    event = EVENTS[type_name].model_validate(example)
    assert canonical(event.body()) == canonical(example)


def test_a_full_example_has_every_field_and_a_minimal_one_only_the_required() -> None:
    for type_name, event in EVENTS.items():
        fields = event.model_fields
        full = json.loads((GOLDEN / f"{type_name}.full.json").read_text())
        minimal = json.loads((GOLDEN / f"{type_name}.minimal.json").read_text())
        assert full.keys() == fields.keys(), type_name
        assert minimal.keys() == {name for name, field in fields.items() if field.is_required()}, type_name


def test_every_example_is_of_a_known_type() -> None:
    for path in GOLDEN.glob("*.json"):
        type_name = path.name.rsplit(".", 2)[0]
        assert event_class(type_name) is not None, f"{path.name}: a published type is never removed"


def test_types_name_their_service_and_version() -> None:
    for type_name, event in EVENTS.items():
        service, _, version = type_name.split(".")
        assert event.__module__ == f"shared.contracts.{service}"
        assert version.startswith("v")
        assert int(version[1:]) >= 1
