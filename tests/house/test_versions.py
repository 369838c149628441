"""Deciders of the past stay as they were: their files are frozen by hash, and none is missing."""

import hashlib
from pathlib import Path

import pytest

from services.cli.verify import parts_of
from shared.contracts.topics import Topic

ROOT = Path(__file__).parents[2]
FROZEN: dict[str, str] = {
    "mastery/versions/v1_codec.py": "a59596645b63a145b24e8352e5ac588e98eba9c18a3cc31529e749b480821bea",
    "mastery/versions/v1_domain.py": "0a3c0cc1705c77a139a32504b0f8011311452b838a8ab4ea5c9610b96560e8ea",
    "mastery/versions/v1_filter.py": "cb53798880f699ef1620a4451ca3615041d500f25c233ea22fa016c5e573f88f",
    "mastery/versions/v1_parameters.py": "be50f61dbf54e9da4424f9d11fe761c9de2150d420803ec057023f6186ab4ae0",
    "mastery/versions/v1_rule.py": "177c3a70ae360c6371897cfb1389ec571d7d13c1725f91f6c2429973479f5d79",
    "mastery/versions/v1_state.py": "9eb8946566c581db670d982489f592f6fd1e717e49f55f9d467038b2a5011833",
    "mastery/versions/v1_weigh.py": "e2ae478193677f1bb62891a1ac8d4acd47b340431c6ce2ac37d7bec304fda794",
}
"""Path below services/ -> SHA-256 of the file. A line is added with a new version, and never changed: `sha256sum FILE`."""


def test_a_frozen_decider_is_never_edited() -> None:
    files = [path for path in (ROOT / "services").glob("*/versions/*.py") if path.name != "__init__.py"]
    found = {str(path.relative_to(ROOT / "services")): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert found == FROZEN


@pytest.mark.parametrize("service", list(Topic))
def test_every_version_before_the_newest_is_kept_for_replay(service: Topic) -> None:
    parts = parts_of(service)
    before = {f"{decider.name}/{version}" for decider in parts.deciders for version in range(1, decider.version)}
    assert {decider.label for decider in parts.versions} == before
    assert len({decider.name for decider in parts.deciders}) == len(parts.deciders) > 0
