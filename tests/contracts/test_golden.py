"""Every published type keeps a full and a minimal example; all of them must parse, and give the same bytes, for ever."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

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


EXAMPLES = {(name, form): json.loads((GOLDEN / f"{name}.{form}.json").read_text()) for name in EVENTS for form in ("full", "minimal")}


def parts_of(part: BaseModel) -> list[BaseModel]:
    """Return an object and all objects inside it."""
    found = [part]
    for value in part.__dict__.values():
        for each in value if isinstance(value, tuple) else (value,):
            found += parts_of(each) if isinstance(each, BaseModel) else []
    return found


@given(st.sampled_from(sorted(EXAMPLES)), st.data())
def test_an_events_bytes_are_those_that_pydantic_writes(example: tuple[str, str], data: st.DataObject) -> None:
    """Whatever stands at its default, at every depth: what is written by hand, quickly, is what the contract says."""
    event = EVENTS[example[0]].model_validate(EXAMPLES[example])
    for part in parts_of(event):
        for name, field in type(part).model_fields.items():
            if not field.is_required() and data.draw(st.booleans()):
                part.__dict__[name] = field.get_default()  # As if it had been made so.
    said: Any = event.model_dump(mode="json", exclude_defaults=True)
    assert canonical(event.body()) == canonical(said)


@given(st.sampled_from(sorted(EXAMPLES)), st.data())
def test_texts_and_numbers_of_any_kind_are_written_as_pydantic_writes_them(example: tuple[str, str], data: st.DataObject) -> None:
    event = EVENTS[example[0]].model_validate(EXAMPLES[example])
    texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=5)
    for part in parts_of(event):
        for name, value in part.__dict__.items():
            if type(value) is str and data.draw(st.booleans()):
                part.__dict__[name] = data.draw(texts)
            elif type(value) is int:
                part.__dict__[name] = data.draw(st.integers(-(2**53) + 1, 2**53 - 1))
    assert canonical(event.body()) == canonical(event.model_dump(mode="json", exclude_defaults=True))
