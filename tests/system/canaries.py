"""Names and words that nobody has, put wherever a person may be named; and everything an installation keeps or tells, to be searched for
them."""

import asyncio
import csv
import io
import threading
import zipfile
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import psycopg
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from demo import roster
from demo.school import Person, School
from shared.relay.tolerant import TolerantConsumer
from shared.stack import kafka, postgres

MARK = "-Canary-Ibis"
"""Part of every name, id and word of a person here. Its hyphens stand in no base64 and no hash: no ciphertext holds it by chance."""
PERSONAL = ("middleName", "identifier", "email", "sms", "phone", "password", "userMasterIdentifier", "preferredMiddleName", "pronouns")
"""Columns of users.csv that say who somebody is, beside names and ids."""
READ_S = 60

Found = tuple[str, bytes]
"""A place, and one thing that stands there: a record, a row, a line of a log, a message about spans."""
P = TypeVar("P", bound=Person)


def marked(school: School) -> School:
    """Return a school with the mark in everybody's names and ids."""
    classes = tuple(replace(each, teachers=tuple(f"{teacher}{MARK}" for teacher in each.teachers)) for each in school.classes)
    return School(tuple(map(_marked, school.learners)), tuple(map(_marked, school.teachers)), classes)


def _marked(person: P) -> P:
    names = {name: getattr(person, name) + MARK for name in ("sourced_id", "given", "family", "lms_id")}
    return replace(person, **names)


def archive(school: School) -> bytes:
    """Return the roster of a marked school, with the mark in all else that it says of people, and in what their classes are called."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(roster.archive(school))) as plain, zipfile.ZipFile(packed, "w") as file:
        for entry in plain.infolist():
            file.writestr(entry, _with_marks(entry.filename, plain.read(entry).decode()))
    return packed.getvalue()


def _with_marks(name: str, text: str) -> str:
    marks = {"users.csv": PERSONAL, "classes.csv": ("title",)}.get(name, ())
    rows = csv.DictReader(io.StringIO(text))
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, rows.fieldnames or (), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(row | {column: f"{row['sourcedId']} {column}{MARK}" for column in marks} for row in rows)
    return written.getvalue()


def forms(text: str) -> tuple[bytes, ...]:
    """Return how a text may stand somewhere and be read by anybody: as it is, in lower case, in hexadecimal, and in base64."""
    return (text.encode(), text.lower().encode(), text.encode().hex().encode(), *(_base64(text, shift) for shift in range(3)))


def _base64(text: str, shift: int) -> bytes:
    """Return what base64 makes of a text, wherever the one around it is, where it begins so many bytes behind a multiple of three."""
    content = text.encode()
    return b64encode(bytes(shift) + content)[-(-shift * 8 // 6) : (shift + len(content)) * 8 // 6]


FORMS = forms(MARK)


def leaks(places: Iterable[Found], sought: Sequence[bytes] = FORMS) -> list[Found]:
    """Return those that hold the mark in any form, or whatever is sought."""
    return [(place, content) for place, content in places if any(form in content for form in sought)]


async def records(servers: str) -> list[Found]:
    """Return every record of every topic: key, names and values of headers, value."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        topics = await admin.describe_topics()
    finally:
        await admin.close()
    places = [TopicPartition(topic["topic"], part["partition"]) for topic in topics for part in topic["partitions"]]
    places = [place for place in places if not place.topic.startswith("__")]  # Kafka's own.
    consumer = TolerantConsumer(bootstrap_servers=servers, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    found: list[Found] = []
    try:
        ends = await consumer.end_offsets(places)
        consumer.assign(places)
        for place, first in (await consumer.beginning_offsets(places)).items():
            consumer.seek(place, first)
        async with asyncio.timeout(READ_S):
            while any([await consumer.position(place) < ends[place] for place in places]):
                for place, batch in (await consumer.getmany(timeout_ms=1_000)).items():
                    for record in batch:
                        headers = [part for name, value in record.headers for part in (name.encode(), value)]
                        content = b"\n".join(part or b"" for part in (record.key, *headers, record.value))
                        found.append((f"topic {place.topic}", content))
    finally:
        await consumer.stop()
    return found


def rows(service: str, url: str, planted: str = "") -> Iterator[Found]:
    """Yield every row of every table of a service, bytes as they are; `planted` stands in a table that is there for this look only."""
    with psycopg.connect(url) as connection:
        if planted:
            connection.execute("CREATE TABLE planted AS SELECT %s AS words", [planted])
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"').fetchall():  # noqa: S608 - names from the catalogue
                yield f"tables of {service}", b"\n".join(map(_content, row))
        connection.rollback()


def _content(value: object) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


def lines(home: Path) -> Iterator[Found]:
    """Yield every line that a process of an installation wrote, its servers' included."""
    for log in [*(home / "log").iterdir(), postgres.log_file(home), kafka.log_file(home)]:
        if log.exists():  # Servers that were given write elsewhere.
            yield from ((f"log {log.name}", line) for line in log.read_bytes().splitlines())


def files(home: Path) -> Iterator[Found]:
    """Yield every file of an installation as it lies on the disk, its servers' included: tables, logs of Kafka and of PostgreSQL."""
    for path in home.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield f"file {path.relative_to(home)}", path.read_bytes()


@dataclass
class Collector:
    """Takes what services tell of their spans (OTLP over HTTP), as it was sent: its protobuf holds texts as they are."""

    port: int
    told: list[bytes] = field(default_factory=list)

    @property
    def address(self) -> str:
        """What a service is given as its endpoint."""
        return f"http://127.0.0.1:{self.port}/v1/traces"

    def spans(self) -> Iterator[Found]:
        """Yield every message."""
        yield from (("spans", body) for body in list(self.told))

    def knows(self, service: str, trace: bytes) -> bool:
        """Return whether a service told of a span of a trace."""
        return any(f"cairn-{service}".encode() in body and trace in body for body in list(self.told))


@contextmanager
def collector() -> Iterator[Collector]:
    """Yield a collector that listens."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.told.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Collector(server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
