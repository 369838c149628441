"""The direct API: acts of assessment that a teacher or a tool tells in our own words, several at once. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints, ValidationError

from services.evidence.told import MAX_ACTS, MAX_ID, Heard, Malformed, act_of_attempt, instant, not_a_number, share_of
from shared.contracts.envelope import MAX_INTEGER
from shared.contracts.evidence import EvidenceAccepted, Format, Kind
from shared.errors import BadInput, Fault, MalformedInput, TooLarge
from shared.keys import act_id_of, is_iri, item_id_of

Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID)]
Number = StrictInt | Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Score(BaseModel):
    """What was reached, of what could be."""

    model_config = ConfigDict(extra="forbid")

    given: Number = Field(description="From 0. More than `max` (extra credit) counts as `max`.")
    max: Number = Field(description="Above 0.")


class Act(BaseModel):
    """One act of assessment. Give either `score` or `share`."""

    model_config = ConfigDict(extra="forbid")

    id: Name = Field(description="What the source calls the act. Sending it again with the same content changes nothing.")
    source: Name = Field(description="Who tells, always in the same words: the SIS as imported, a type of its userIds, or any other name.")
    learner: Name = Field(description="The learner's IRI, or what the source calls her: 17 of one source is not 17 of another.")
    item: Name = Field(description="IRI of the item.")
    occurred_at: str = Field(description="ISO 8601 with its time zone, such as `2026-11-24T08:00:00.000Z`.")
    score: Score | None = None
    share: Number | None = Field(default=None, description="Of the possible score, from 0 to 1.")
    kind: Kind = Kind.ITEM
    duration_ms: StrictInt | None = Field(default=None, ge=0, le=MAX_INTEGER, description="Time on the item.")
    attempt: Name | None = Field(default=None, description="IRI of the attempt, where Caliper may tell of it too: then both are one act.")


class Request(BaseModel):
    """Acts of assessment, at most 500."""

    model_config = ConfigDict(extra="forbid")

    items: list[Act] = Field(min_length=1, max_length=MAX_ACTS)


_REMEDIES: Final = {"missing": "add it", "extra-forbidden": "take it away"}


def read_request(value: Any, alias: Callable[[str, str], str], latest: datetime) -> list[Heard]:
    """Return what each item of a request tells, in order.

    Raises:
        MalformedInput: it is no request.
        TooLarge: it has more than 500 items.
        BadInput: items are malformed; a fault names each of them.
    """
    items = value.get("items") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(items, list) or not items or len(value) > 1:
        fault = Fault("/items", "not-a-list", "the request is an object with `items`, at least one, and nothing else", "see /docs")
        raise MalformedInput(str(fault), [fault])
    if len(items) > MAX_ACTS:
        fault = Fault("/items", "too-many", f"{len(items)} items, at most {MAX_ACTS}", "send several requests")
        raise TooLarge(str(fault), [fault])
    heard: list[Heard] = []
    faults: list[Fault] = []
    for index, item in enumerate(items):
        try:
            heard.append(_told(_act(item, f"/items/{index}"), f"/items/{index}", alias, latest))
        except Malformed as malformed:
            faults.append(malformed.fault)
    if faults:
        raise BadInput(f"{len(faults)} of {len(items)} items cannot be read, so nothing was stored. {faults[0]}", faults)
    return heard


def _act(item: Any, place: str) -> Act:
    """Return an item as a model, or raise `Malformed` for the first thing wrong with it; the message never repeats a value."""
    try:
        return Act.model_validate(item)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = "".join(f"/{step}" for step in first["loc"] if step not in ("int", "constrained-float", "float"))
        if "int" in first["loc"]:  # Of what may also be a fraction pydantic would say that it has to be an integer.
            raise not_a_number(f"{place}{where}") from None
        code = first["type"].replace("_", "-")
        raise Malformed(f"{place}{where}", code, first["msg"], _REMEDIES.get(code, "see /docs")) from None


def _told(act: Act, place: str, alias: Callable[[str, str], str], latest: datetime) -> Heard:
    for name, value in (("item", act.item), ("attempt", act.attempt)):
        if value is not None and not is_iri(value):
            raise Malformed(f"{place}/{name}", "not-an-iri", f"{name} is no absolute IRI", "send it like https://lms.example/items/3")
    if (act.score is None) == (act.share is None):
        raise Malformed(f"{place}/score", "missing", "either score or share tells how well it went", "send one of them")
    if act.score is not None:
        share = share_of(act.score.given, act.score.max, f"{place}/score/given", f"{place}/score/max")
    else:
        share = share_of(act.share, 1, f"{place}/share", place)
        if act.share is not None and act.share > 1:
            raise Malformed(f"{place}/share", "above-1", "a share is at most 1", "send extra credit as a score")
    own = act_id_of(act.source, act.id)
    told = EvidenceAccepted(
        act_id=own if act.attempt is None else act_of_attempt(act.attempt, act.item),
        alias=alias(act.source, act.learner),
        item_id=item_id_of(act.item),
        score_e6=share,
        occurred_at=instant(act.occurred_at, f"{place}/occurred_at", latest),
        kind=act.kind,
        format=Format.DIRECT,
        duration_ms=act.duration_ms,
        telling_id=None if act.attempt is None else own,
    )
    return Heard(act.id, told)
