"""Tomorrow on one page: what stands in it, and that it needs nothing from elsewhere."""

from __future__ import annotations

import re
from datetime import date
from html.parser import HTMLParser

from demo.day import Meeting, Pupil, Sheet, Slot, page
from demo.resources import PERIODS

GROUP = Meeting("nook", "group", "Adding unlike fractions", "small group", "Ada <Lee>", "", (Pupil("Ben", "a goal"), Pupil("Cho & Co", "")))
ALONE = Meeting("", "own work", "", "", "Fay Ito", "", (Pupil("Gil", "Rounding to 100: a goal"), Pupil("Hal", "Area: a prerequisite")))
TALK = Meeting("", "talk with an adult", "", "", "Mo Diaz", "", (Pupil("Dee", ""),))


def sheet(*unserved: tuple[str, str]) -> Sheet:
    slots = tuple(Slot(*period) for period in PERIODS)
    return Sheet("Willowbank School", date(2026, 10, 14), slots, [("Library", [[GROUP], [TALK], [ALONE], [], [], []])], 3, 1, unserved)


class Outline(HTMLParser):
    """Checks that every element is closed, and collects addresses and cells."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.cells = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        self.cells += tag == "td"
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_shows_groups_first_names_and_reasons_and_escapes_them() -> None:
    text = page(sheet())
    assert "Adding unlike fractions" in text
    assert "Ada &lt;Lee&gt;" in text
    assert "Cho &amp; Co" in text
    assert "(a goal)" in text
    assert "(Rounding to 100: a goal)" in text
    assert "Wednesday, 14 October" in text
    assert "3 learners, 1 group with a teacher." in text


def test_the_page_is_whole_and_asks_for_nothing_from_elsewhere() -> None:
    outline = Outline()
    outline.feed(page(sheet()))
    assert outline.open == []
    assert outline.cells == len(PERIODS)
    assert all(address.startswith("#") for address in outline.addresses)
    assert not re.search(r"url\(|@import|<script", page(sheet()))


def test_the_page_is_for_phones_and_print() -> None:
    text = page(sheet())
    assert 'name="viewport"' in text
    assert "@media print" in text
    assert '<html lang="en">' in text


def test_who_has_no_place_is_named_only_where_somebody_has_none() -> None:
    assert "Still without a place" not in page(sheet())
    text = page(sheet(("Eva", "Reading I"), ("Gil", "Reading II")))
    assert "<bdi>Eva</bdi> in Reading I; <bdi>Gil</bdi> in Reading II.</p>" in text


def test_names_keep_their_direction_to_themselves() -> None:
    text = page(sheet())
    assert "<bdi>small group</bdi>, <bdi>nook</bdi>, <bdi>Ada &lt;Lee&gt;</bdi>; 2 learners" in text
    assert "<li><bdi>Ben</bdi>" in text
