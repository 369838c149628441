"""Request bodies: their size, their media type, and JSON that says one thing only."""

from __future__ import annotations

import asyncio
import codecs
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel
from starlette.requests import Request

from shared.contracts.envelope import MAX_INTEGER
from shared.errors import Fault, MalformedInput, TooLarge
from shared.http.problems import MAX_FAULTS, WrongContentType, parsed, pointer

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_DEPTH: Final = 64
"""Objects and arrays inside one another."""
MAX_INTEGER_DIGITS: Final = 16
_OWN_THREAD_BYTES: Final = 256 * 1024  # Longer texts are parsed beside the event loop.
_SPACED_COLON: Final = re.compile(rb'"\s+:')
_ZEROS: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER: Final = b"0" * MAX_INTEGER_DIGITS
_CONTAINERS: Final = (dict, list)
_DOUBTFUL: Final = object()
STASH: Final = "cairn_json"
"""Where the gate leaves in the scope what it has parsed."""


async def read_json(request: Request, max_bytes: int = MAX_BODY_BYTES) -> Any:
    """Return the JSON value of the body.

    Raises:
        WrongContentType: it is not sent as JSON.
        TooLarge: it has more than `max_bytes`.
        MalformedInput: it is no JSON, or one of the things `strict_json` refuses.
    """
    require_content_type(request, "application/json")
    body = await request.body()
    if len(body) > max_bytes:
        raise too_large(max_bytes)
    if STASH in request.scope:
        return request.scope[STASH]
    return await parse(body)


M = TypeVar("M", bound=BaseModel)


async def read_model(request: Request, kind: type[M], max_bytes: int = MAX_BODY_BYTES) -> M:
    """Return the body as a model; like `read_json`, and `BadInput` where it does not fit, each place named."""
    return parsed(kind, await read_json(request, max_bytes))


def body_of(kinds: Mapping[str, type[BaseModel] | dict[str, Any]]) -> dict[str, Any]:
    """Return what a route that reads its body itself says of it in the OpenAPI document: its `openapi_extra`.

    Args:
        kinds: media type -> what is read, as a model or a JSON schema.
    """
    schemas = {media: kind if isinstance(kind, dict) else kind.model_json_schema() for media, kind in kinds.items()}
    content = {media: {"schema": _inlined(schema, schema.get("$defs", {}))} for media, schema in schemas.items()}
    return {"requestBody": {"required": True, "content": content}}


def _inlined(schema: Any, models: dict[str, Any]) -> Any:
    """Return a JSON schema with the models that it refers to in their places: the OpenAPI document keeps models elsewhere."""
    if isinstance(schema, list):
        return [_inlined(each, models) for each in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {name: _inlined(value, models) for name, value in schema.items() if name not in ("$ref", "$defs")}
    return _inlined(models[schema["$ref"].removeprefix("#/$defs/")], models) | rest if "$ref" in schema else rest


async def parse(body: bytes) -> Any:
    """Return `strict_json(body)`, worked out in a thread where the body is long."""
    return strict_json(body) if len(body) <= _OWN_THREAD_BYTES else await asyncio.to_thread(strict_json, body)


def too_large(limit: int) -> TooLarge:
    """Return the error that says so and names the limit."""
    return TooLarge(f"the body has more than {limit} bytes, the most that is taken at once: send it in parts")


def require_content_type(request: Request, *allowed: str) -> str:
    """Return the media type of the body, in lower case and without parameters.

    `application/json` stands for every `application/...+json` too.

    Raises:
        WrongContentType: it is none of those allowed.
    """
    sent = media_type(request.headers.get("content-type", ""))
    if sent in allowed or ("application/json" in allowed and is_json(sent)):
        return sent
    raise WrongContentType(sent, *allowed)


def media_type(header: str) -> str:
    """Return the media type that a Content-Type header names, without parameters."""
    return header.partition(";")[0].strip().lower()


def is_json(media: str) -> bool:
    """Return whether a body of this media type is JSON."""
    return media == "application/json" or (media.startswith("application/") and media.endswith("+json"))


def strict_json(body: bytes) -> Any:
    """Return the value of a JSON text that every reader would read alike; a byte order mark before it is passed over (RFC 8259, 8.1).

    Raises:
        MalformedInput: no UTF-8, no JSON, a key twice in an object, U+0000, a lone surrogate, an integer beyond 2^53 - 1, a number that is
            not finite, or more than 64 levels; the faults name the places as JSON pointers.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    plain = _plain(body)
    return _examined(body) if plain is _DOUBTFUL else plain


def _plain(body: bytes) -> Any:
    """Return the value of a JSON text that plainly is sound, or _DOUBTFUL: then one has to look closely. Takes half the time of looking.

    Where no text holds an escape, each quote that a colon follows ends a key: counting them before and after finds keys that stand twice.
    """
    if b"\\" in body or _SPACED_COLON.search(body) or _LONG_NUMBER in body.translate(_ZEROS):
        return _DOUBTFUL
    try:
        value = orjson.loads(body)
        again = orjson.dumps(value)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return _DOUBTFUL
    if body.count(b'":') != again.count(b'":'):
        return _DOUBTFUL
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer if type(outer) is list else ())
            if type(inner) in _CONTAINERS
        ]
        if not level:
            return value
    return _DOUBTFUL


def _examined(body: bytes) -> Any:
    """Do what `strict_json` promises, place by place."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _malformed("", "not-utf-8", f"byte {error.start} is not UTF-8", "encode the text as UTF-8") from None
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_int=_integer)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _malformed("", "json-invalid", f"{place}: {error.msg}", "send valid JSON") from None
    except RecursionError:
        raise _malformed("", "too-deep", f"more than {MAX_DEPTH} levels", "send it flatter") from None
    faults: list[Fault] = []
    _examine(value, [], faults)
    if faults:
        raise MalformedInput(f"the JSON cannot be taken: {faults[0]}", faults)
    return value


class _Twice(dict[str, Any]):
    """An object in which this key stands twice."""

    key: str


class _Huge:
    """An integer that other readers would round."""


_HUGE: Final = _Huge()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    twice, seen = _Twice(plain), set[str]()
    for key, _ in pairs:
        if key in seen:
            twice.key = key
            break
        seen.add(key)
    return twice


def _integer(text: str) -> int | _Huge:
    if len(text) > MAX_INTEGER_DIGITS + 1:
        return _HUGE
    value = int(text)
    return value if -MAX_INTEGER <= value <= MAX_INTEGER else _HUGE


def _examine(value: Any, path: list[str | int], faults: list[Fault]) -> None:
    """Add what is wrong inside a value, in the order of the text."""
    if len(faults) >= MAX_FAULTS:
        return
    if isinstance(value, str):
        _examine_text(value, path, faults)
    elif isinstance(value, dict | list):
        if len(path) >= MAX_DEPTH:
            faults.append(Fault(pointer(path), "too-deep", f"more than {MAX_DEPTH} levels", "send it flatter"))
            return
        if isinstance(value, _Twice):
            faults.append(Fault(pointer([*path, value.key]), "duplicate-key", "the key stands twice in its object", "send it once"))
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            path.append(step)
            if isinstance(step, str):
                _examine_text(step, path, faults)
            _examine(inner, path, faults)
            path.pop()
    elif isinstance(value, float) and not math.isfinite(value):
        faults.append(Fault(pointer(path), "number-not-finite", "the number is not finite", "send a finite number or leave it out"))
    elif value is _HUGE:
        faults.append(Fault(pointer(path), "integer-too-large", "the integer is beyond 2^53 - 1", "send a smaller one, or send it as text"))


def _examine_text(text: str, path: list[str | int], faults: list[Fault]) -> None:
    if "\x00" in text:
        faults.append(Fault(pointer(path), "null-character", "the text holds U+0000", "take it out"))
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        faults.append(Fault(pointer(path), "lone-surrogate", "the text holds half of a surrogate pair", "send whole characters"))


def _malformed(place: str, code: str, detail: str, remedy: str) -> MalformedInput:
    return MalformedInput(f"the JSON cannot be taken: {detail}", [Fault(place, code, detail, remedy)])
