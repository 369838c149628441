"""Lists in pages: each has a fixed order, and a page begins behind the last item that the client has."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any, Final, Generic, TypeVar, overload
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from shared.contracts.envelope import canonical
from shared.errors import BadInput, Fault
from shared.http.body import strict_json

MAX_PAGE: Final = 1000
DEFAULT_PAGE: Final = 100
MAX_CURSOR_CHARACTERS: Final = 4_000
FIRST_ID: Final = UUID(int=0)
"""Before the id of anybody, and of anything."""
LAST_ID: Final = UUID(int=2**128 - 1)
NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""Behind every instant."""

T = TypeVar("T")
R = TypeVar("R")
CursorPart = str | int | UUID | datetime
_OF_TEXT: Final[Mapping[type, Callable[[str], Any]]] = MappingProxyType({UUID: UUID, datetime: datetime.fromisoformat})
"""Kinds of parts that are text in a cursor -> how they are read."""


class Page(BaseModel, Generic[T]):
    """A part of a list, in a fixed order."""

    items: list[T]
    next: str | None = Field(default=None, description="Send it as `after` for what follows; nothing follows where it is null.")


class PageAsked:
    """Which part of a list a client wants. Routes take it as `paging: Paging`, read `most` rows `behind` the client's last, and give the
    `page` of them."""

    def __init__(
        self,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items at most.")] = DEFAULT_PAGE,
        after: Annotated[str | None, Query(max_length=MAX_CURSOR_CHARACTERS, description="`next` of the page before.")] = None,
    ) -> None:
        self.limit = limit
        self.after = after

    @property
    def most(self) -> int:
        """How many rows to read: one more than the page holds, which tells that more follows."""
        return self.limit + 1

    def behind(self, *first: CursorPart) -> tuple[Any, ...]:
        """Return the sort key of the last item that the client has; at the beginning `first`, which nothing comes before.

        Raises:
            BadInput: the cursor was not made by `page` for this list, whose keys are made of what `first` is made of.
        """
        if self.after is None:
            return first
        kinds = [type(part) for part in first]
        try:
            parts = strict_json(base64.b64decode(self.after.encode(), b"-_", validate=True))
            if isinstance(parts, list) and [type(part) for part in parts] == [str if kind in _OF_TEXT else kind for kind in kinds]:
                return tuple(_OF_TEXT.get(kind, kind)(part) for kind, part in zip(kinds, parts, strict=True))
        except (BadInput, ValueError):
            pass
        fault = Fault("query/after", "cursor-invalid", "the cursor is not of this list", "start again without it")
        raise BadInput(str(fault), [fault])

    @overload
    def page(self, rows: Sequence[T], key: Callable[[T], Sequence[CursorPart]]) -> Page[T]: ...
    @overload
    def page(self, rows: Sequence[R], key: Callable[[R], Sequence[CursorPart]], view: Callable[[R], T]) -> Page[T]: ...
    def page(
        self, rows: Sequence[Any], key: Callable[[Any], Sequence[CursorPart]], view: Callable[[Any], Any] = lambda row: row
    ) -> Page[Any]:  # fmt: skip
        """Return the page of these rows, at most `most`.

        Args:
            key: the parts by which the list is in order.
            view: what is shown of a row; by default the row is.
        """
        shown = rows[: self.limit]
        after = base64.urlsafe_b64encode(canonical(list(key(shown[-1])))).decode() if len(rows) > self.limit else None
        return Page(items=[view(row) for row in shown], next=after)


Paging = Annotated[PageAsked, Depends()]
