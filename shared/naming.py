"""How clients name competencies: as their framework publishes them, by a GUID in any case or by the URI that ends in it; pure."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from shared.keys import competency_id_of


def _read(value: Any) -> Any:
    return competency_id_of(value) if isinstance(value, str) else value


CompetencyNamed = Annotated[str, BeforeValidator(_read)]
"""A competency in a request, with the id that its framework has; bounds that stand beside it are those of the id."""


def competencies_read(value: Any, name: str) -> Any:
    """Return a JSON object whose list of this name has each `competency_id` as frameworks have it; any other value as it is."""
    rows = value.get(name) if isinstance(value, dict) else None
    if not isinstance(rows, list):
        return value
    return {**value, name: [_with_id(row) for row in rows]}


def _with_id(row: Any) -> Any:
    return {**row, "competency_id": _read(row["competency_id"])} if isinstance(row, dict) and "competency_id" in row else row
