"""What a principal wants to know in the morning: who is behind, who has no place; and what happens to a roster with a mistake."""

from __future__ import annotations

from typing import Final

from demo import roster
from demo.client import Unexpected
from demo.days import name
from demo.district import District
from demo.school import PERSON_IRI, SOURCE
from demo.words import listed, plain, say, table

SHOWN: Final = 6
LONG_MINUTES: Final = 120
"""Work is told in hours where it is more."""
BAD_INPUT: Final = 422
PACES: Final = {"on-track": "on track", "at-risk": "behind", "ahead": "ahead", "no-date": "without a date"}
LACKING: Final = {
    "place": "no seat",
    "activity": "a seat, but nothing to do alone",
    "check-in": "no talk with an adult",
    "path": "nothing on her path",
    "day": "a place in the day's plan, which is full",
}


async def tell_pace(district: District) -> None:
    """Tell how the school stands, who is behind pace, and who is unserved tomorrow."""
    cairn = district.cairn
    path = f"/pathing/schools/{district.school_id}/pace"
    counts = (await cairn.get(path, limit="1"))["counts"]
    behind = await cairn.every(path, inside="learners")
    say(f"Against their dates, {listed([f'{_learners(count)} {PACES[pace]}' for pace, count in sorted(counts.items())])}.")
    if behind:
        rows = [
            (plain(district.shown(each["learner_id"])), f"{work(each['due_minutes'])} of {each['due_subject']}", each["due"])
            for each in sorted(behind, key=lambda each: -int(each["due_minutes"]))[:SHOWN]
        ]
        table(("behind pace", "still to learn", "until"), rows)
        say(f"For each of them Cairn looks for an adult to talk with, and puts that into their day where it finds one.{_more(len(behind))}")
    unserved = await cairn.every(f"/scheduling/schools/{district.school_id}/days/tomorrow/unserved")
    if not unserved:
        say("Tomorrow everybody has a place, an adult and something to do in every period.")
        return
    open_wishes = "1 wish stays open" if len(unserved) == 1 else f"{len(unserved)} wishes stay open"
    say(f"Tomorrow {open_wishes}, and Cairn does not hide it:")
    table(
        ("who", "when", "what is lacking"),
        [
            (
                plain(district.shown(each["learner_id"])),
                name(each["period_id"]) if each["period_id"] else "all day",
                LACKING.get(each["lacking"], each["lacking"]),
            )
            for each in unserved[:SHOWN]
        ],
    )
    if len(unserved) > SHOWN:
        say(_more(len(unserved)).strip())


def work(minutes: int) -> str:
    """Return how much there is to learn, in hours where it is more than two.

    >>> work(20), work(90), work(150)
    ('20 minutes', '90 minutes', '2 hours')
    """
    return f"{minutes / 60:.0f} hours" if minutes > LONG_MINUTES else f"{minutes} minute{'' if minutes == 1 else 's'}"


def _learners(count: int) -> str:
    return "1 learner is" if count == 1 else f"{count:,} learners are"


def _more(count: int) -> str:
    """Return a sentence about those of a list that are not shown; nothing where all are."""
    left = count - SHOWN
    return f" {left:,} more {'is' if left == 1 else 'are'} listed over HTTP." if left > 0 else ""


async def tell_refusal(district: District) -> None:
    """Send a roster with one bad row, and tell what Cairn says about it and that nothing of it was stored.

    Raises:
        Unexpected: it was taken, or something was stored.
    """
    cairn = district.cairn
    before = await cairn.every("/profile/imports")
    archive = roster.archive(district.school, spoilt=True)
    told = {"source": SOURCE, "person_iri": PERSON_IRI}
    answer = await cairn.send("POST", "/profile/oneroster/imports", content=archive, media="application/zip", **told)
    problem = answer.json()
    if answer.status_code != BAD_INPUT or len(problem.get("errors", [])) != 1:
        raise Unexpected(f"a roster with one bad row was answered with {answer.status_code}, not refused for that row")
    if await cairn.every("/profile/imports") != before:
        raise Unexpected("a roster that was refused left something behind")
    (fault,) = problem["errors"]
    file, line, column = fault["place"].split(":")
    say("The SIS exports its roster again; somebody opened it in a spreadsheet first. Cairn takes nothing of it and says where to look:")
    table(("file", "line", "column", "what is wrong", "what to do"), [(file, line, column, plain(fault["detail"]), plain(fault["remedy"]))])
