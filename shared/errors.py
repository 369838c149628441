"""What can go wrong, in words that say what to do. These classes know no HTTP; `shared/http/problems.py` maps them in one table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input: where it stands, what it is, and what to do about it. Never holds personal data."""

    place: str
    """A JSON pointer (`/data/0/object`) or `file:line:column`."""
    code: str
    """A stable word for programs, such as `missing` or `unknown-reference`."""
    detail: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.detail}" + (f" - {self.remedy}" if self.remedy else "")


class CairnError(Exception):
    """Base of every error that Cairn raises on purpose."""


class BadInput(CairnError):
    """What was handed in cannot be taken; nothing of it was stored."""

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


class MalformedInput(BadInput):
    """The input is not even well formed (syntax, encoding, envelope)."""


class TooLarge(BadInput):
    """The input is larger than a named limit."""


class NotFound(CairnError):
    """Nothing is known under this id."""


class Refused(CairnError):
    """A decider said no; `code` is its stable reason."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Overloaded(CairnError):
    """More is waiting than the service takes at once: come back after `retry_after_s` seconds."""

    def __init__(self, what: str, retry_after_s: int = 1) -> None:
        super().__init__(f"{what} is full: send again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Unavailable(CairnError):
    """Something that the service rests on does not answer for now. Whether anything was stored is unknown; sending again is safe."""

    WORDS: ClassVar = "{what} does not answer for now: send again in {retry_after_s} s, which is safe"

    def __init__(self, what: str, retry_after_s: int = 2) -> None:
        super().__init__(self.WORDS.format(what=what, retry_after_s=retry_after_s))
        self.retry_after_s = retry_after_s


class Unsure(Unavailable):
    """The first try may have stored what was asked, and nobody knows; said again, it was refused."""

    WORDS: ClassVar = (
        "the database fell silent while this was stored, so that it may have been done or not, and said again it is refused ({what}): look "
        "at what stands now"
    )


class ClockAhead(Unavailable):
    """This machine's clock is too far ahead of PostgreSQL's to date with it what is kept for ever. Nothing was stored."""

    WORDS: ClassVar = (
        "{what}, and what is recorded keeps its time for ever. Set the clock that is wrong; the service goes on by itself then, and "
        "nothing is lost"
    )

    def __init__(self, service: str, ahead: timedelta, most: timedelta) -> None:
        clock = f"this machine's clock is {_rounded(ahead)} ahead of PostgreSQL's, more than {_rounded(most)}"
        super().__init__(f"{service} writes nothing: {clock}")


class Underway(Unavailable):
    """An answer takes longer than anybody waits for it: what was done for it is kept, and goes on when the same is sent again."""

    WORDS: ClassVar = "{what}, and goes on from there: send the same again in {retry_after_s} s"

    def __init__(self, done: str, retry_after_s: int = 1) -> None:
        super().__init__(done, retry_after_s)


class Misconfigured(CairnError):
    """A setting or the installation is wrong; the message names the setting and its remedy."""


class LedgerError(CairnError):
    """The ledger refuses to go on, because going on would break what it promises."""


class NoTopic(LedgerError):
    """The broker does not make a topic; one that has just come back may know of none for a while."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(f"the broker made no topic {', '.join(sorted(names))}: look at its log")


class WrongPartitionCount(LedgerError):
    """A topic has another number of partitions than the ledger; both are fixed at installation."""

    def __init__(self, topic: str, expected: int, actual: int) -> None:
        super().__init__(
            f"topic {topic} has {actual} partitions, the ledger {expected}: delete the topic and start again; it is filled from the ledger"
        )


class OutdatedDecider(LedgerError):
    """A stream was last decided by a newer version: this is the old worker of a rolling upgrade, and it stops."""

    def __init__(self, stream: str, ours: int, theirs: int) -> None:
        super().__init__(f"{stream} was decided by version {theirs}, this release has version {ours}: start the newer release")


class KeyChanged(LedgerError):
    """A stream has another key than its command: another process made the stream meanwhile, under the key it was first told with."""

    def __init__(self, stream: str) -> None:
        super().__init__(f"stream {stream} has another key than its command: a stream never changes its key, ask again under its own")


class Diverged(LedgerError):
    """A source's ledger and this reader's memory of it do not agree: one of the databases was restored from a backup."""


class PrivilegedRole(Misconfigured):
    """A service runs with a role that could change its record."""


def _rounded(time: timedelta) -> str:
    return str(timedelta(minutes=round(time / timedelta(minutes=1))))[:-3] + " h"
