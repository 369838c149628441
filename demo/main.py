"""`cairn demo`: a school of its own, from the first roster to a proof that nothing was changed, in about three minutes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Final

from demo import choice, crash, day, learners, proof, setup, story, watch, weeks
from demo.client import Cairn, Unexpected
from demo.district import District
from demo.installation import Place, begin
from demo.items import ROUNDS
from demo.school import MAX_LEARNERS, MIN_LEARNERS, SCHOOL, school
from demo.words import plain, say, title, to_copy
from services.cli.installation import say_status
from shared.errors import Misconfigured

FAILED: Final = 1
PAGE: Final = "day.html"
DEFAULT_HOME: Final = ".cairn"
LEARNERS: Final = 240


@dataclass(frozen=True)
class Options:
    """What `cairn demo` was asked for."""

    home: Path
    learners: int = LEARNERS
    seed: int = 1
    acks: Path | None = None
    """Where to write what the client was told, one JSON object a line."""


def run(options: Options) -> int:
    """Run the demonstration and return its exit code: 1 where something was not as it should be.

    Raises:
        Misconfigured: so many learners do not fit, the file for acknowledgements cannot be written, or the folder holds an installation
            that is not a demonstration's.
    """
    if not MIN_LEARNERS <= options.learners <= MAX_LEARNERS:
        raise Misconfigured(f"--learners is {options.learners}: the school takes from {MIN_LEARNERS} to {MAX_LEARNERS}")
    _require_writable(options)
    started = time.monotonic()
    title("A school day that follows its learners")
    say(
        f"This starts Cairn on your machine, lets a made-up school of {options.learners} learners work with it for six weeks,",
        "and then looks closely. Nothing is mocked: PostgreSQL, Apache Kafka and five services run, and all that follows is read",
        "from them over HTTP.",
    )
    place = begin(options.home.resolve(), options.learners, options.seed)
    try:
        learner_id = asyncio.run(_tell(options, place))
    except Unexpected as error:
        title("This is not as it should be")
        say(plain(error))
        say_status(place.home)
        return FAILED
    _end(place, options, learner_id)
    say(f"[dim]The whole took {time.monotonic() - started:.0f} s.[/dim]")
    return 0


def _require_writable(options: Options) -> None:
    """Refuse a file for acknowledgements that cannot be written, before anything is wiped or started."""
    if options.acks is None or options.acks.resolve().is_relative_to(options.home.resolve()):  # That folder is made anew.
        return
    try:
        options.acks.open("a").close()
    except OSError as error:
        raise Misconfigured(
            f"--acks {options.acks} cannot be written ({error.strerror}): name a file in a folder that is there. Nothing was started"
        ) from error


async def _tell(options: Options, place: Place) -> str:
    """Tell everything; return the id of the learner whose story was told."""
    everybody = school(options.learners, options.seed)
    minds = {learner.sourced_id: learners.mind(learner, options.seed) for learner in everybody.learners}
    if options.acks:
        options.acks.parent.mkdir(parents=True, exist_ok=True)
    async with Cairn(place.address, options.acks) as cairn:
        district = District(cairn, everybody, options.seed, minds)
        title(f"{SCHOOL} comes in")
        await setup.bring_in(district)
        await weeks.hand_in(district, place, weeks.start_of_year(district), planned=False)
        await setup.open_school(district)
        title("Six weeks of school")
        await weeks.hand_in(district, place, weeks.quizzes(district, learners.school_days()[ROUNDS:]), planned=True)
        return await _look(district, place)


async def _look(district: District, place: Place) -> str:
    """Tell what the six weeks led to, and prove it; return the id of the learner whose story was told."""
    title("One learner's morning")
    hers = await story.tell(district, place)
    title("She has a say")
    await choice.tell(district, hers)
    title("What the principal sees")
    await watch.tell_pace(district)
    title("A mistake is refused, and named")
    await watch.tell_refusal(district)
    title("A service dies")
    await crash.tell(district, place)
    title("Every decision, once more")
    await proof.tell_replay(place)
    title("A forged estimate")
    await proof.tell_tampering(district, place, hers)
    title("Tomorrow, on one page")
    page = place.folder / PAGE
    page.write_text(day.page(await day.sheet(district)), encoding="utf-8")
    to_copy("Spaces by periods, with groups, first names and reasons; for a phone, and to print:", str(page))
    return hers


def _end(place: Place, options: Options, learner_id: str) -> None:
    title("What to try next")
    home = "" if place.home == Path(DEFAULT_HOME).resolve() else f" --home {quote(str(place.home))}"
    to_copy("everything over HTTP; each service has documentation, as mastery does", place.address, f"{place.address}/mastery/docs")
    to_copy("what runs, and how it is", f"cairn status{home}")
    to_copy("that learner's whole story", f"cairn replay show --learner {learner_id}{home}")
    to_copy("what she needs, and may need a person for", f"{place.address}/mastery/learners/{learner_id}/needs")
    to_copy("replay it yourself", f"cairn replay verify{home}")
    if options.acks:
        to_copy("check what we were told", f"cairn audit check{home} --acks {quote(str(options.acks))}")
    to_copy("another school", f"cairn demo{home} --seed 7 --acks acks.jsonl")
    to_copy("stop it; --wipe removes all", f"cairn down{home}")
