"""Asking a service over HTTP, like any client, and telling its answer, or why there is none, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer
from rich.markup import escape

from services.cli.home import GATEWAY, entry_of, home_of
from services.cli.words import in_words, out
from shared.errors import BadInput, CairnError, Fault

LIMIT_S: Final = 300.0
"""For the largest roster on a busy machine."""
JSON: Final = "application/json"

AddressOption = Annotated[str | None, typer.Option("--address", help="Where Cairn answers; else the local installation's address.")]


class ServiceFailed(CairnError):
    """The service did not take it for a reason that is not in the file."""


def where(address: str | None, home: Path | None) -> str:
    """Return the address that was given, or the local installation's."""
    return address.rstrip("/") if address else entry_of(home_of(home), GATEWAY).address


def send(method: str, path: str, file: Path, media: str, address: str, query: Mapping[str, str | Sequence[str]] | None = None) -> None:
    """Send a file and tell the answer in words.

    Raises:
        BadInput: it was refused; each fault names its place in the file.
        ServiceFailed: nobody answers, or the service cannot take anything now.
    """
    tell(ask(method, path, address, query, file, media))


def ask(
    method: str, path: str, address: str, query: Mapping[str, str | Sequence[str]] | None = None, file: Path | None = None, media: str = "",
    body: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Ask a service, with a file, a JSON body or neither, and return its answer.

    Raises:
        BadInput: it was refused; each fault names its place in the file.
        ServiceFailed: nobody answers, or the service cannot take anything now.
    """
    sent: dict[str, Any] = {"content": file.read_bytes(), "headers": {"Content-Type": media}} if file else {"json": body}
    try:
        answer = httpx.request(method, address + path, params=query, timeout=LIMIT_S, **sent)
    except httpx.ConnectError:
        raise ServiceFailed(f"nobody answers at {address}: run `cairn up`, or name another address with --address") from None
    except (httpx.TransportError, httpx.InvalidURL) as error:
        what = "the file" if file else "it"
        raise ServiceFailed(f"{address} broke off ({type(error).__name__}): send {what} again, which is safe") from None
    if not answer.is_success:
        raise refusal(answer, file)
    try:
        told = answer.json()
    except ValueError:
        raise _not_cairn(answer) from None
    if not isinstance(told, dict):
        raise _not_cairn(answer)
    return told


def tell(answer: Mapping[str, Any]) -> None:
    """Tell a service's answer in words."""
    for line in in_words(answer):
        out.print(escape(line))


def refusal(answer: httpx.Response, file: Path | None) -> CairnError:
    """Return the error that tells a problem document in words."""
    try:
        problem: dict[str, Any] = answer.json()
        title, detail = problem["title"], problem.get("detail", "")
        faults = [Fault(**fault) for fault in problem.get("errors", [])]
    except (ValueError, LookupError, TypeError):
        return _not_cairn(answer)
    later = answer.headers.get("Retry-After")
    if later or answer.is_server_error:
        again = f"; send it again in {later} s" if later else ""
        return ServiceFailed(f"{title}: {detail}{again}")
    if file is None:
        return BadInput(f"this was refused, and nothing changed. {title}: {detail}", faults)
    placed = [Fault(_in_file(fault.place, file), fault.code, fault.detail, fault.remedy) for fault in faults]
    return BadInput(f"{file.name} was refused, and nothing of it was stored. {title}: {detail}", placed)


def _not_cairn(answer: httpx.Response) -> CairnError:
    return ServiceFailed(f"{answer.url} answered {answer.status_code}, and not as Cairn does: does --address name Cairn?")


def _in_file(place: str, file: Path) -> str:
    """Return a place with the name of the file where it is a JSON pointer into it; others name a file themselves."""
    return f"{file.name}{'#' if place.startswith('/') else ''}{place}" if place.startswith("/") or not place else place
