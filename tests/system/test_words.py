"""What the command line says: why it failed and what to do, never a traceback; answers in words."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
from typer.testing import CliRunner, Result

from services.cli import app, asking
from services.cli.documents import openapi_of
from services.cli.home import GATEWAY, Entry, write_entries
from services.cli.verify import parts_of
from shared.clock import clock_from
from shared.contracts.topics import Topic
from shared.stack.state import claim

NOBODY = "http://127.0.0.1:1"
PROBLEM = {
    "type": "urn:cairn:problem:bad-input",
    "title": "The input cannot be taken",
    "status": 422,
    "detail": "2 rows are wrong",
    "errors": [
        {"place": "users.csv:3:2", "code": "missing", "detail": "no given name", "remedy": "fill it in"},
        {"place": "/data/0", "code": "unknown", "detail": "no such [place]"},
    ],
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder that nothing was started in."""
    for name in ("CAIRN_DATABASE_URL", "CAIRN_OWNER_DATABASE_URL", "CAIRN_KAFKA_SERVERS", "CAIRN_PARKING_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CAIRN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "home"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "district.zip"
    path.write_bytes(b"PK")
    return path


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[Any]]]:
    """A server that answers everything with the test's (status, content, headers), and what it was asked."""
    status, content, headers = request.param
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            asked.append((self.command, self.path, self.headers["Content-Type"], body))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content.encode())

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - names that the library looks for.

        def log_message(self, *words: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def failed(result: Result) -> str:
    """Return what a command said that failed as commands should."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.stderr
    return result.stderr


def test_nobody_answers(home: Path, file: Path) -> None:
    said = failed(run("roster", "import", str(file), "--address", NOBODY))
    assert f"nobody answers at {NOBODY}: run `cairn up`" in said


def test_nothing_was_started(home: Path, file: Path) -> None:
    for words in (("framework", "import", str(file)), ("ledger", "status"), ("rebuild", "mastery", "level"), ("migrate", "mastery")):
        assert "run `cairn up` first" in failed(run(*words))
    assert "Nothing was started" in run("status").output
    assert "Nothing was running" in run("down").output
    assert not home.exists()


def test_a_file_that_is_not_there(home: Path, tmp_path: Path) -> None:
    result = run("activities", "import", str(tmp_path / "nothing.json"))
    assert (result.exit_code, "does not exist" in result.output) == (2, True)


@pytest.mark.parametrize("answering", [(422, json.dumps(PROBLEM), {})], indirect=True)
def test_each_fault_is_told_with_its_place_and_remedy(answering: tuple[str, list[Any]], home: Path, file: Path) -> None:
    options = ("--source", "sis", "--person-iri", "urn:a:{username}", "--person-iri", "urn:b:{userIds:b}", "--dry-run")
    said = failed(run("roster", "import", str(file), *options, "--address", answering[0])).splitlines()
    assert said == [
        "cairn: district.zip was refused, and nothing of it was stored. The input cannot be taken: 2 rows are wrong",
        "  users.csv:3:2: no given name - fill it in",
        "  district.zip#/data/0: no such [place]",
    ]
    asked = "source=sis&person_iri=urn%3Aa%3A%7Busername%7D&person_iri=urn%3Ab%3A%7BuserIds%3Ab%7D&dry_run=true"
    assert answering[1] == [("POST", f"/profile/oneroster/imports?{asked}", "application/zip", b"PK")]


@pytest.mark.parametrize("answering", [(200, json.dumps({"events": 0}), {})], indirect=True)
def test_whatever_can_be_said_of_a_roster_can_be_said_by_the_command(answering: tuple[str, list[Any]], home: Path, file: Path) -> None:
    options = ("--source", "sis", "--person-iri", "urn:a:{username}", "--withdraw-many", "--new-source", "--dry-run")
    assert run("roster", "import", str(file), *options, "--address", answering[0]).exit_code == 0
    assert run("roster", "import", str(file), "--address", answering[0]).exit_code == 0
    said, nothing = (parse_qs(urlsplit(path).query) for _, path, *_ in answering[1])
    switches = {name: ["true"] for name in ("withdraw_many", "new_source", "dry_run")}
    assert said == {"source": ["sis"], "person_iri": ["urn:a:{username}"]} | switches
    assert nothing == {"source": ["sis"]}
    taken = openapi_of(parts_of(Topic.PROFILE))["paths"]["/profile/oneroster/imports"]["post"]["parameters"]
    assert said.keys() == {each["name"] for each in taken if each["in"] == "query"}


@pytest.mark.parametrize("answering", [(200, "<html>", {}), (404, "<html>", {}), (500, "[1]", {})], indirect=True)
def test_what_is_not_cairn_is_told_apart(answering: tuple[str, list[Any]], home: Path, file: Path) -> None:
    assert "does --address name Cairn?" in failed(run("resources", "import", str(file), "--address", answering[0]))


@pytest.mark.parametrize("answering", [(429, json.dumps(PROBLEM | {"status": 429, "errors": []}), {"Retry-After": "7"})], indirect=True)
def test_whoever_is_told_to_come_back_knows_when(answering: tuple[str, list[Any]], home: Path, file: Path) -> None:
    assert "send it again in 7 s" in failed(run("roster", "import", str(file), "--address", answering[0]))


NOTED = {"place": "/CFItems/3", "code": "retired", "detail": "its time was over"}
IMPORTED = {
    "document": "d0", "added": 1200, "events": 8,
    "report": {
        "document": "d0", "items": 1200, "associations": {"isChildOf": 1100, "precedes": 12}, "replaced": {"C1": ["C2"]},
        "unknown_types": ["ext:x"], "noted": {"retired": 31}, "notes": [NOTED],
    },
}  # fmt: skip


@pytest.mark.parametrize("answering", [(200, json.dumps(IMPORTED), {})], indirect=True)
def test_what_became_of_a_package_is_told_line_by_line(answering: tuple[str, list[Any]], home: Path, tmp_path: Path) -> None:
    file = tmp_path / "package.json"
    file.write_text("{}")
    told = run("framework", "import", str(file), "--address", answering[0])
    assert (told.exit_code, told.stdout.splitlines()) == (0, [
        "document: d0", "added: 1,200", "events: 8", "items: 1,200", "associations: 1,100 isChildOf, 12 precedes", "replaced: 1",
        "unknown types: ext:x", "noted: 31 retired", "notes: /CFItems/3: its time was over",
    ])  # fmt: skip


DOCUMENT = "d0000000-0000-4000-8000-000000000000"
LOOKED = {
    "document": DOCUMENT, "dry_run": True, "base": "abc", "framework_id": "def", "competencies": 1200, "learners": 3, "kept": 2,
    "passed": {"other": 7}, "others_behind": 1, "others_replaced": 0, "named": ["C9"], "events": 1,
}  # fmt: skip


@pytest.mark.parametrize("answering", [(200, json.dumps(LOOKED), {})], indirect=True)
def test_a_framework_is_withdrawn_after_what_depends_on_it_was_named(answering: tuple[str, list[Any]], home: Path) -> None:
    address, asked = answering
    path = f"/mastery/case/documents/{DOCUMENT}"
    told = run("framework", "withdraw", DOCUMENT, "--dry-run", "--address", address)
    assert told.exit_code == 0, told.output
    said = told.stdout
    for words in ("1,200 competencies", "3 learners have", "2 competencies stay known", "7 stand in document other", "such as C9"):
        assert words in said
    assert [each[:2] for each in asked] == [("DELETE", f"{path}?dry_run=true")]
    no = CliRunner().invoke(app, ["framework", "withdraw", DOCUMENT, "--address", address], input="n\n")
    assert (no.exit_code, len(asked)) == (1, 2)
    yes = run("framework", "withdraw", DOCUMENT, "--yes", "--address", address)
    assert (yes.exit_code, f"withdrawn: {DOCUMENT}, 1 events" in yes.stdout) == (0, True)
    assert [each[:2] for each in asked[2:]] == [("DELETE", f"{path}?dry_run=true"), ("DELETE", f"{path}?base=abc")]


@pytest.mark.parametrize(
    "answering", [(404, json.dumps(PROBLEM | {"status": 404, "errors": [], "detail": "withdrawn before"}), {})], indirect=True
)
def test_what_is_not_in_force_cannot_be_withdrawn(answering: tuple[str, list[Any]], home: Path) -> None:
    said = failed(run("framework", "withdraw", DOCUMENT, "--yes", "--address", answering[0]))
    assert "nothing changed" in said
    assert "withdrawn before" in said
    assert len(answering[1]) == 1


@pytest.mark.parametrize("answering", [(200, '{"items": 1200, "changed": 3, "learners": {"created": 2, "changed": 0}}', {})], indirect=True)
def test_an_answer_is_told_in_words(answering: tuple[str, list[Any]], home: Path, tmp_path: Path) -> None:
    file = tmp_path / "alignments.CSV"
    file.write_text("item,competency\n")
    told = run("alignments", "import", str(file), "--address", answering[0])
    assert (told.exit_code, told.stdout.splitlines()) == (0, ["items: 1,200", "changed: 3", "learners: 2 created"])
    assert answering[1][0][:3] == ("PUT", "/evidence/alignments", "text/csv")


ERASED = {"recorded": True, "keys_destroyed": 1, "names": 3, "words": 0, "on_roster": True}
NOBODY_KNOWN = {"type": "x", "title": "There is nothing under this id", "status": 404, "detail": "no roster named a learner with this id"}
ERASE = ("erase", "--learner", "00000001-0000-8000-8000-000000000001", "--asked-by", "guardian", "--why", "request")


@pytest.mark.parametrize("answering", [(200, json.dumps(ERASED), {})], indirect=True)
def test_an_erasure_is_asked_for_once_it_was_said_yes_to_and_told_in_counts(answering: tuple[str, list[Any]], home: Path) -> None:
    no = CliRunner().invoke(app, [*ERASE, "--address", answering[0]], input="n\n")
    assert (no.exit_code != 0, answering[1]) == (True, [])
    assert "Nobody will be able to read this learner's name" in no.output
    yes = CliRunner().invoke(app, [*ERASE, "--reference", "DSR-7", "--address", answering[0]], input="y\n")
    assert yes.exit_code == 0, yes.output
    assert "keys destroyed: 1" in yes.output
    assert "Backups of profile's database from before hold her key" in yes.output
    body = {"asked_by": "guardian", "why": "request", "reference": "DSR-7"}
    assert [(method, path, json.loads(sent)) for method, path, _, sent in answering[1]] == [
        ("POST", f"/profile/learners/{ERASE[2]}/erasure", body)
    ]


@pytest.mark.parametrize("answering", [(200, '{"recorded": true}', {})], indirect=True)
def test_an_erasure_is_undone_for_a_reason_of_its_own(answering: tuple[str, list[Any]], home: Path) -> None:
    assert "name one of mistake, request, consent-given" in failed(run(*ERASE[:-1], "retention", "--undo", "--address", answering[0]))
    told = run(*ERASE[:-1], "mistake", "--undo", "--address", answering[0])
    assert (told.exit_code, told.stdout.splitlines()) == (0, ["recorded: yes", "The next roster that names her brings her name."])
    assert [path for _, path, *_ in answering[1]] == [f"/profile/learners/{ERASE[2]}/erasure/lifted"]


@pytest.mark.parametrize("answering", [(404, json.dumps(NOBODY_KNOWN), {})], indirect=True)
def test_an_erasure_that_is_not_taken_says_why(answering: tuple[str, list[Any]], home: Path) -> None:
    assert "no roster named a learner with this id" in failed(run(*ERASE, "--yes", "--address", answering[0]))
    said = failed(run(*ERASE[:-1], "her mother Anna asked", "--yes", "--address", answering[0]))
    assert "name one of request, retention, consent-withdrawn, order" in said
    assert f"nobody answers at {NOBODY}" in failed(run(*ERASE, "--yes", "--address", NOBODY))


POLICY = {"policies": [{"family": "", "days": 2}], "timezone": None, "utc_offset_minutes": 0, "notes": ["days are those of UTC"]}


@pytest.mark.parametrize("answering", [(200, json.dumps(POLICY), {})], indirect=True)
def test_a_time_zone_is_set_beside_the_policies_that_stand(answering: tuple[str, list[Any]], home: Path, tmp_path: Path) -> None:
    told = run("mastery", "policy", "timezone", "America/Los_Angeles", "--address", answering[0])
    assert told.exit_code == 0, told.output
    assert "notes: days are those of UTC" in told.stdout.splitlines()
    assert [(method, path) for method, path, *_ in answering[1]] == [("GET", "/mastery/policy"), ("PUT", "/mastery/policy")]
    assert json.loads(answering[1][1][3]) == {"policies": POLICY["policies"], "timezone": "America/Los_Angeles"}
    run("mastery", "policy", "show", "--out", str(tmp_path / "policy.json"), "--address", answering[0])
    assert json.loads((tmp_path / "policy.json").read_text()) == {"policies": POLICY["policies"], "timezone": None}, "as `set` takes it"


@pytest.mark.parametrize("answering", [(422, json.dumps(PROBLEM), {})], indirect=True)
def test_a_time_zone_that_is_refused_is_told_with_its_place(answering: tuple[str, list[Any]], home: Path) -> None:
    assert "2 rows are wrong" in failed(run("mastery", "policy", "timezone", "PST", "--address", answering[0]))
    assert "nobody answers" in failed(run("mastery", "policy", "timezone", "UTC", "--address", NOBODY))


@pytest.mark.parametrize(
    ("answering", "timezone", "told"),
    [
        ((200, json.dumps(POLICY), {}), "America/Los_Angeles", "run `cairn mastery policy timezone America/Los_Angeles`"),
        ((200, json.dumps(POLICY | {"timezone": "US/Pacific"}), {}), "America/Los_Angeles", ""), ((200, json.dumps(POLICY), {}), "UTC", ""),
        ((200, json.dumps(POLICY), {}), "Atlantis/Capital", ""), ((200, "{}", {}), "America/Los_Angeles", ""),
        ((200, json.dumps(POLICY | {"timezone": "America/New_York"}), {}), "America/Chicago", "mastery counts days of America/New_York"),
    ],
    indirect=["answering"],
)  # fmt: skip
def test_whoever_says_where_schools_are_is_told_where_mastery_counts_other_days(
    answering: tuple[str, list[Any]], home: Path, tmp_path: Path, timezone: str, told: str
) -> None:
    file = tmp_path / "resources.json"
    file.write_text(json.dumps({"schools": [{"timezone": timezone}]}))
    done = run("resources", "import", str(file), "--address", answering[0])
    assert (done.exit_code, told in done.stdout, "mastery counts days" in done.stdout) == (0, True, bool(told))


@pytest.mark.parametrize(
    ("answering", "installed", "told"),
    [
        (
            (200, json.dumps(POLICY), {}), "America/Denver",
            ["mastery counts days of UTC, and {why}: run `cairn mastery policy timezone {to}`"],
        ),
        ((200, json.dumps(POLICY | {"timezone": "America/Denver"}), {}), "US/Mountain", []),
        (
            (200, json.dumps(POLICY | {"timezone": "America/Denver"}), {}), "UTC",
            ["paths and rosters count days of UTC, and {why}: run `cairn up --time-zone {to}`"],
        ),
    ],
    indirect=["answering"],
)  # fmt: skip
def test_whoever_names_a_time_zone_is_told_where_days_are_others(
    answering: tuple[str, list[Any]], home: Path, tmp_path: Path, installed: str, told: list[str]
) -> None:
    port = int(answering[0].rpartition(":")[2])
    claim(home)
    write_entries(home, {GATEWAY: Entry(port=port), "pathing": Entry(port=1, environment={"CAIRN_TIME_ZONE": installed})})
    file = tmp_path / "resources.json"
    file.write_text(json.dumps({"schools": [{"timezone": "America/Denver"}]}))
    beside = ["--home", str(home)]
    for words, why in ((["mastery", "policy", "timezone", "America/Denver"], "others by another midnight"),
                       (["resources", "import", str(file)], "no school is there")):  # fmt: skip
        done = run(*words, *beside)
        assert done.exit_code == 0, done.output
        lines = [line.format(why=why, to="America/Denver") for line in told]
        assert [line for line in done.stdout.splitlines() if "run `cairn" in line] == lines


@pytest.mark.parametrize("answering", [(200, json.dumps({"base": "ab", "replaced": []}), {})], indirect=True)
def test_resources_are_looked_at_first_and_sent_with_what_that_told(answering: tuple[str, list[Any]], home: Path, tmp_path: Path) -> None:
    file = tmp_path / "resources.json"
    file.write_text(json.dumps({"schools": []}))
    for options in (["--dry-run"], ["--base", "ab"], ["--remove", "--base", "ab"], []):
        assert run("resources", "import", str(file), *options, "--address", answering[0]).exit_code == 0
    asked = [path for method, path, *_ in answering[1] if method == "PUT"]
    assert asked == ["/scheduling/resources" + query for query in ("?dry_run=true", "?base=ab", "?remove=true&base=ab", "")]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("answering", [(200, json.dumps({"title": "Brotzeit \u2014 Znueni"}), {})], indirect=True)
def test_a_terminal_that_lacks_a_letter_ends_no_command(encoding: str, answering: tuple[str, list[Any]], home: Path, file: Path) -> None:
    environment = os.environ | {"PYTHONUTF8": "0", "PYTHONIOENCODING": encoding}
    argv = [sys.executable, "-m", "services.cli", "framework", "import", str(file), "--address", answering[0]]
    done = subprocess.run(argv, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"title: Brotzeit ? Znueni" in done.stdout


def test_no_database_answers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAIRN_OWNER_DATABASE_URL", "postgresql://mastery_owner:secret@127.0.0.1:1/cairn_mastery")
    for words in (("rebuild", "mastery", "level"), ("migrate", "mastery")):
        said = failed(run(*words))
        assert "PostgreSQL does not answer" in said
        assert "secret" not in said


def test_a_service_without_settings_names_them(home: Path) -> None:
    assert "CAIRN_DATABASE_URL" in failed(run("serve", "mastery"))
    assert "local installation" in run("serve", "--help").output


@pytest.mark.parametrize(
    "words", ["park list", "park list evidence", "park show evidence 1", "park retry evidence", "ledger catch-up evidence", "serve mastery"]
)
def test_whoever_names_another_folder_is_told_which_it_was(home: Path, words: str) -> None:
    said = failed(run(*words.split(), "--home", str(home / "elsewhere")))
    assert f"{home / 'elsewhere'} knows no " in said
    assert "run `cairn up` first" in said


def test_a_gateway_without_anything_behind_it_is_not_started(home: Path) -> None:
    said = failed(run("gateway"))
    assert f"nothing was started in {home}" in said


def test_no_kafka_answers(home: Path, monkeypatch: pytest.MonkeyPatch, database: Any) -> None:
    monkeypatch.setenv("CAIRN_DATABASE_URL", database("mastery").app_url)
    monkeypatch.setenv("CAIRN_KAFKA_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("CAIRN_PARKING_KEY", "00" * 32)
    assert "Kafka does not answer" in failed(run("serve", "mastery"))


def test_what_is_said_of_a_date_and_has_no_effect_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adult, other = str(UUID(int=5)), str(UUID(int=6))
    note = {"school_id": str(UUID(int=7)), "unknown_subjects": ["art"], "past_days": ["2026-11-20"], "unknown_staff": [adult, other]}

    def answer(method: str, place: str, **_: Any) -> httpx.Response:
        told: dict[str, Any] = {"day": {"absent": [adult]}, "base": "", "school_day": True, "usual_periods": []}
        adopted = {"set_id": "x", "events": 0, "base": "", "notes": [note]}
        return httpx.Response(200, json=told if method == "GET" else adopted, request=httpx.Request(method, place))

    monkeypatch.setattr(asking.httpx, "request", answer)
    said = run("day", str(UUID(int=7)), "2026-11-24", "--absent", adult, "--address", "http://cairn")
    assert said.exit_code == 0, said.output
    ours, others, past, subject, *_ = said.output.splitlines()
    assert ours.startswith(f"No effect: {adult} is said to be away, and is no adult of the school by its roster")
    assert ours.endswith(f"--present {adult}.")
    assert other in others
    assert "--present" not in others
    assert past == "No effect: 2026-11-20 is over."
    assert "needs the subject art" in subject


def test_how_it_is_says_where_the_clock_was_set(home: Path) -> None:
    home.mkdir()
    write_entries(home, {"profile": Entry(1)})
    assert "Its clock" not in run("status").output
    clock_from("2026-10-13T07:30:00Z", home)
    said = run("status").output
    assert "Its clock was set: it shows 2026-10-13 07:3" in said
    assert "behind this machine" in said
    (home / "clock.json").write_text("{")
    assert "clock.json cannot be read" in run("status").output


def test_a_wrong_instant_is_named(home: Path) -> None:
    assert "give an instant with its time zone" in failed(run("up", "--now", "tomorrow"))


@pytest.mark.parametrize(
    "command", ["demo", "up", "down", "status", "serve", "migrate", "erase", "rebuild", "ledger", "park", "replay", "audit"]
)
def test_what_the_readme_and_makefile_name_is_a_command(command: str) -> None:
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0, done.output
    assert f" {command}" in done.output


def test_what_is_otherwise_on_a_date_is_added_to_what_was_told_of_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    periods = [{"id": f"p{number}", "starts": f"0{number}:00", "ends": f"0{number}:45"} for number in range(3)]
    held: dict[str, Any] = {"on": "2026-11-24", "absent": ["a"], "staff": [{"staff_id": "b", "subjects": ["art"], "away": ["p0"]}]}
    sent: list[tuple[str, str, Any]] = []

    def answer(method: str, place: str, json: Any, **_: Any) -> httpx.Response:
        sent.append((method, place, json))
        if method == "PUT":
            held.update(json)
        told = {"day": dict(held), "base": f"base {len(sent)}", "school_day": not held.get("closed"), "usual_periods": periods}
        return httpx.Response(200, json=told, request=httpx.Request(method, place))

    monkeypatch.setattr(asking.httpx, "request", answer)
    school, adult = str(UUID(int=7)), str(UUID(int=5))
    where = ("day", school, "2026-11-24", "--address", "http://cairn")
    said = run(*where, "--absent", adult, "--away", "b:p1,p2", "--close-space", "hall", "--without-period", "p2", "--reason", "half-day")
    assert said.exit_code == 0, said.output
    assert [one[0] for one in sent] == ["GET", "PUT", "GET"]
    assert sent[1][1] == f"http://cairn/scheduling/schools/{school}/days/2026-11-24/resources"
    assert sent[1][2] == {
        "absent": sorted([adult, "a"]), "staff": [{"staff_id": "b", "subjects": ["art"], "away": ["p0", "p1", "p2"]}],
        "closed_spaces": ["hall"], "periods": periods[:2], "closed": False, "reason": "half-day", "base": "base 1",
    }  # fmt: skip
    assert "reason: half-day" in said.output
    assert "there is no period p9 on the date: it has p0, p1" in failed(run(*where, "--without-period", "p9"))
    assert "--away b names no periods" in failed(run(*where, "--away", "b"))
    assert run(*where, "--usual").exit_code == 0
    assert sent[-2][2] | {"base": ""} == {
        "absent": [], "staff": [], "closed_spaces": [], "periods": None, "closed": False, "reason": "", "base": "",
    }  # fmt: skip
    held.update(absent=[adult, "a"], staff=[{"staff_id": adult, "away": ["p1"]}, {"staff_id": "b", "subjects": ["art"], "away": ["p0"]}])
    assert run(*where, "--present", adult).exit_code == 0
    assert (sent[-2][2]["absent"], sent[-2][2]["staff"]) == (["a"], [{"staff_id": "b", "subjects": ["art"], "away": ["p0"]}])
    before = len(sent)
    assert run(*where).exit_code == 0
    assert [one[0] for one in sent[before:]] == ["GET"]
