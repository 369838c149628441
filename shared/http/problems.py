"""Errors as RFC 9457 problem documents. The one table that knows which of our errors is which HTTP status."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import quote

import orjson
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, Field, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from shared import errors
from shared.ledger.failures import is_passing
from shared.telemetry import describe

MEDIA_TYPE: Final = "application/problem+json"
MAX_FAULTS: Final = 100
"""Faults that one problem lists; `detail` says how many there are."""
_log = structlog.get_logger()


class WrongContentType(errors.BadInput):
    """The body is of another media type than the address takes."""

    def __init__(self, sent: str, *allowed: str) -> None:
        super().__init__(f"the Content-Type is {sent or 'missing'}: send {' or '.join(allowed)}")


class WrongCoding(errors.BadInput):
    """The body is compressed, which would hide how large it is."""

    def __init__(self, sent: str) -> None:
        super().__init__(f"the Content-Encoding is {sent}: send the body uncompressed, without this header")


class ClientSilent(errors.BadInput):
    """The client has stopped in the middle of its request, or goes on too slowly, or does not take its answer."""

    def __init__(self, limit_s: float, size: int | None = None) -> None:
        """Say what came.

        Args:
            size: bytes that came in this time, which are too few; None where it was silent all the time.
        """
        came = f"nothing more of it came for {limit_s:.0f} s" if size is None else f"only {size:,} bytes of it came in {limit_s:.0f} s"
        super().__init__(f"{came}, and nothing of it was taken: send it again, whole")


class Place(BaseModel):
    """One thing wrong with an input."""

    place: str = Field(description="JSON pointer into the body, `query/<name>`, `path/<name>`, or `<file>:<line>:<column>`.")
    code: str = Field(description="A stable word for programs.")
    detail: str
    remedy: str = ""


class Problem(BaseModel):
    """What went wrong and what to do about it (RFC 9457). Nothing was stored, unless `detail` says what was kept; only where `status` is
    500 or more that is unknown, and sending the same again is safe."""

    type: str = Field(description="A stable name of the kind of problem, as a URN.")
    title: str
    status: int
    detail: str
    instance: str | None = Field(default=None, description="The address that was asked.")
    errors: list[Place] = Field(default=[], description="Each place that is wrong, at most 100 of them.")


# The first class that fits counts, so the special ones come first.
STATUS: Final[tuple[tuple[type[errors.CairnError], int, str, str], ...]] = (
    (errors.MalformedInput, 400, "malformed-input", "The input is not well formed"),
    (errors.TooLarge, 413, "too-large", "The input is too large"),
    (ClientSilent, 408, "client-silent", "The request did not arrive whole"),
    (WrongCoding, 415, "wrong-content-coding", "The input is compressed"),
    (WrongContentType, 415, "wrong-content-type", "The input is of another media type"),
    (errors.BadInput, 422, "bad-input", "The input cannot be taken"),
    (errors.NotFound, 404, "not-found", "There is nothing under this id"),
    (errors.Refused, 409, "refused", "The request was refused"),
    (errors.Overloaded, 429, "overloaded", "More is waiting than can be taken"),
    (errors.Underway, 503, "under-way", "The answer takes longer than one request"),
    (errors.Unavailable, 503, "unavailable", "The service cannot work for now"),
)
_REMEDIES: Final = {
    "missing": "add it",
    "extra_forbidden": "take it away",
    "json_invalid": "send valid JSON",
    "too_long": "send fewer",
    "in_clear": "have profile seal them first, at POST /profile/learners/{learner_id}/sealed, and send its answer; or leave them out",
}
_OTHERWISE: Final = "see /docs for what belongs there"
_PLAIN: Final = {
    404: ("no-such-address", "There is no such address", "see /docs for those there are"),
    405: ("wrong-method", "The address does not take this method", "the header Allow names those it takes"),
}


def problem_of(error: errors.CairnError) -> Problem | None:
    """Return the problem that tells a client of this error; None for one that is no business of a client's."""
    for kind, status, name, title in STATUS:
        if isinstance(error, kind):
            faults: Sequence[errors.Fault] = error.faults if isinstance(error, errors.BadInput) else ()
            if isinstance(error, errors.Refused):
                faults = [errors.Fault("", error.code, str(error))]
            return Problem(type=_urn(name), title=title, status=status, detail=_counted(str(error), faults), errors=_places(faults))
    return None


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how the OpenAPI document tells of the problems with these statuses: `responses` of a route that has more than the common."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {str(status): {"description": title, "content": content} for _, status, _, title in STATUS if status in statuses}


def respond(problem: Problem, path: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the HTTP response that carries the problem; `path` is the address that was asked."""
    content = problem.model_copy(update={"instance": quote(path)}).model_dump(exclude_defaults=True)
    if problem.status == 408:  # Whatever still comes of that request is not read (RFC 9110, section 15.5.9).
        headers = {**(headers or {}), "Connection": "close"}
    return Response(orjson.dumps(content), problem.status, headers, MEDIA_TYPE)


def respond_to(error: Exception, path: str) -> Response:
    """Return the response to any error: its problem, or a 500 that shows nothing of the inside, which is logged instead."""
    away = is_passing(error) and not isinstance(error, errors.Unavailable)
    if away or isinstance(error, PoolTimeout | errors.Diverged):  # It has no connection left, or was restored.
        _log.warning("database unavailable", **describe(error))
        error = errors.Unavailable("the database")
    if isinstance(error, errors.CairnError):
        problem = problem_of(error)
        if problem is not None:
            later = error.retry_after_s if isinstance(error, errors.Overloaded | errors.Unavailable) else None
            return respond(problem, path, None if later is None else {"Retry-After": str(later)})
    _log.error("request failed", exc_info=error)
    detail = "this is not your fault; the log of the service says more. Sending the same again later is safe"
    return respond(Problem(type=_urn("internal"), title="The service failed", status=500, detail=detail), path)


def faults_of(error: ValidationError | RequestValidationError) -> list[errors.Fault]:
    """Return what pydantic found, without the values it found; places as JSON pointers into the body."""
    in_request = isinstance(error, RequestValidationError)
    return [
        errors.Fault(
            _place(fault["loc"], in_request), fault["type"].replace("_", "-"), fault["msg"], _REMEDIES.get(fault["type"], _OTHERWISE)
        )
        for fault in error.errors()
    ]


M = TypeVar("M", bound=BaseModel)


def parsed(kind: type[M], value: Any) -> M:
    """Return a JSON value as a model. Nothing is taken for what it is not: numbers, booleans and texts stay apart, and dates, instants and
    ids are text, written out.

    Raises:
        BadInput: it does not fit; each place is named.
    """
    try:
        model = kind.model_validate_json(orjson.dumps(value), strict=True)
    except ValidationError as error:
        faults = faults_of(error)
    else:
        faults = list(_counted_times(value, model, ()))
    if faults:
        raise errors.BadInput("the input does not fit what is documented in /docs", faults)
    return model


def _counted_times(given: Any, read: Any, path: tuple[str | int, ...]) -> Iterator[errors.Fault]:
    """Yield where pydantic, strict or not, has taken a text such as "0" for the time since 1970: a date is written out, year first."""
    match read:
        case date() if given[4:5] != "-":
            detail, remedy = "a number where a date belongs", "write it out, like 2026-11-24, an instant like 2026-11-24T08:00:00Z"
            yield errors.Fault(pointer(path), "not-a-date", detail, remedy)
        case BaseModel():
            for name in read.model_fields_set:
                yield from _counted_times(given[name], getattr(read, name), (*path, name))
        case dict():
            for name, value in read.items():
                yield from _counted_times(given[name], value, (*path, name))
        case list() | tuple():
            for index, (each, value) in enumerate(zip(given, read, strict=False)):  # Texts may be sorted and fewer by now, dates never.
                yield from _counted_times(each, value, (*path, index))


class _AsJson:
    """Has a body that FastAPI took apart read by `parsed`; one that was not sent as JSON is bytes, and refused as such."""

    def __get_pydantic_core_schema__(self, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: Any) -> Any:
            return value if isinstance(value, bytes) else parsed(source, value)

        return no_info_before_validator_function(read, handler(source))


Sent = Annotated[M, _AsJson()]
"""The body of a route as FastAPI gives it, such as `said: Sent[FirstDay]`: read by `parsed`, not as pydantic would from Python's values."""


def pointer(path: Iterable[str | int]) -> str:
    """Return an RFC 6901 JSON pointer; what cannot be printed is escaped."""
    tokens = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    text = "".join(f"/{token}" for token in tokens).encode("utf-8", "backslashreplace").decode()
    return text.replace("\x00", "\\u0000")


def install(app: FastAPI) -> None:
    """Let the app answer every error with a problem."""

    async def ours(request: Request, error: Exception) -> Response:
        return respond_to(error, request.scope["path"])

    async def invalid(request: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError) and isinstance(error.body, bytes):  # FastAPI parses what is sent as JSON only.
            return respond_to(WrongContentType(request.headers.get("content-type", ""), "application/json"), request.scope["path"])
        faults = faults_of(error) if isinstance(error, RequestValidationError) else []
        return respond_to(errors.BadInput("the request does not fit what is documented in /docs", faults), request.scope["path"])

    async def plain(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return respond_to(error, request.scope["path"])
        name, title, detail = _PLAIN.get(error.status_code, ("other", "The request cannot be answered", str(error.detail)))
        problem = Problem(type=_urn(name), title=title, status=error.status_code, detail=detail)
        return respond(problem, request.scope["path"], error.headers)

    app.add_exception_handler(errors.CairnError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)


def _urn(name: str) -> str:
    return f"urn:cairn:problem:{name}"


def _places(faults: Sequence[errors.Fault]) -> list[Place]:
    return [Place(place=each.place, code=each.code, detail=each.detail, remedy=each.remedy) for each in faults[:MAX_FAULTS]]


def _counted(message: str, faults: Sequence[errors.Fault]) -> str:
    return message if len(faults) <= MAX_FAULTS else f"{message} ({len(faults)} faults, the first {MAX_FAULTS} are listed)"


def _place(loc: tuple[str | int, ...], in_request: bool) -> str:
    if not in_request:
        return pointer(loc)
    return pointer(loc[1:]) if loc[0] == "body" else "/".join(str(step) for step in loc)
