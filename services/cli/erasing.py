"""`cairn erase`: a learner's name, and all words about her, made unreadable for good; told in counts, with what remains to be done."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from services.cli.asking import AddressOption, ask, tell, where
from services.cli.home import HomeOption, home_of
from services.cli.words import out
from shared.contracts.profile import Asker, ErasureGround, LiftGround
from shared.errors import BadInput

BEFORE: Final = (
    "Nobody will be able to read this learner's name, or any words that people said about her, again: not from the record, Kafka or a "
    "backup without her key. To lift the erasure later lets a roster name her again, and brings nothing back."
)
REMAINS: Final = (
    "What remains names nobody: what she answered, estimates, paths and days, under her id; and keyed hashes of her ids in the SIS and the "
    "LMS, by which the next roster knows her again and leaves her name out.",
    "To do: have the SIS leave her out, if she is to be known no more. Backups of profile's database from before hold her key: let them "
    "expire, or make a new one and destroy them. Where one is restored, `cairn ledger catch-up profile` brings the erasure back, and her "
    "key is destroyed again. The files in which rosters came, and what the LMS keeps, are not Cairn's. See docs/erasure.md.",
)


def erase(
    learner: Annotated[UUID, typer.Option(help="Whom to erase: an id, as GET /profile/learners lists them.")],
    asked_by: Annotated[Asker, typer.Option("--asked-by", help="Who asks for it.")],
    why: Annotated[
        str, typer.Option(help="request, retention, consent-withdrawn or order; with --undo mistake, request or consent-given.")
    ],
    reference: Annotated[
        str,
        typer.Option(help="Number of the request in your own files, such as DSR-2026-0114. No name, date of birth or learner's number."),
    ] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Let her be named again, by the next roster; what was erased stays so.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure.")] = False,
    address: AddressOption = None,
    home: HomeOption = None,
) -> None:
    """Destroy the key of a learner's name and of all words about her: recorded first, then done. There is no way back.

    May be repeated, and is to be where it was broken off: once is as good as twice. What was decided about her stays, and names nobody.
    """
    grounds = [str(each) for each in (LiftGround if undo else ErasureGround)]
    if why not in grounds:
        raise BadInput(f"--why {why} is no ground that is kept: name one of {', '.join(grounds)}; your own files hold the rest")
    place = where(address, home)
    if not (undo or yes):
        out.print(BEFORE)
        typer.confirm("Erase her?", abort=True)
    path = f"/profile/learners/{learner}/erasure{'/lifted' if undo else ''}"
    told = ask("POST", path, place, body={"asked_by": str(asked_by), "why": why, "reference": reference})
    tell(told)
    if undo:
        out.print("The next roster that names her brings her name." if told.get("recorded") else "She was not erased.")
        return
    for line in REMAINS:  # First: whatever becomes of the count, these are duties.
        out.print(line)
    if address is None:
        _count(home_of(home), learner)


def _count(home: Path, learner: UUID) -> None:
    """Say how much about her lies sealed in every record."""
    from services.cli import story
    from services.cli.proof import urls_of

    counts = asyncio.run(story.sealed_of(urls_of(home), learner))
    told = ", ".join(f"{service} {count}" for service, count in counts.items() if count) or "none"
    out.print(f"sealed texts about her, which nobody can open: {told}")


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(erase)
