"""Deciders of the past stay as they were: their files are frozen by hash, and none is missing."""

import hashlib
from pathlib import Path

import pytest

from services.cli.verify import parts_of
from shared.contracts.topics import Topic

ROOT = Path(__file__).parents[2]
FROZEN: dict[str, str] = {}
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
