"""A OneRoster file set is taken whole, or each thing wrong with it is named by file, line, column and code."""

import contextlib
import io
import warnings
import zipfile
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.profile import oneroster
from services.profile.oneroster import archive, columns, listed, table
from services.profile.roster import Known, plan
from shared.errors import BadInput, MalformedInput, TooLarge
from tests.profile.district import HEADERS, District, zip_of

Change = Callable[[District], object]


def faults_of(content: bytes) -> set[tuple[str, str]]:
    with pytest.raises(BadInput) as caught:
        oneroster.read(content)
    assert all(fault.remedy and fault.detail for fault in caught.value.faults)
    return {(fault.place, fault.code) for fault in caught.value.faults}


def test_rows_share_the_texts_that_they_refer_to() -> None:
    """A district has several rows for each learner: an id that stands in all of them is kept once."""
    taken = oneroster.read(District().zip())
    named = [row["userSourcedId"] for file in ("roles.csv", "enrollments.csv") for row in taken[file] if row["userSourcedId"] == "u1"]
    assert len(named) == 3
    assert len({id(each) for each in named}) == 1
    assert len({id(row.places) for row in taken["enrollments.csv"]}) == 1


def test_a_good_file_set_is_read() -> None:
    roster = oneroster.read(District().zip())
    assert roster.rows == 3 + 2 + 2 + 2 + 6 + 6 + 5
    assert roster["classes.csv"][1]["title"] == '5a Reading, "aloud"'
    assert listed(roster["classes.csv"][1]["termSourcedIds"]) == ["t1", "y"]
    assert roster["users.csv"][2]["familyName"] == "Pérez\nGil"
    assert [row.line for row in roster["users.csv"]] == [2, 3, 4, 6, 7, 8], "a line break in quotes counts as a line"


def test_the_columns_are_those_of_the_binding() -> None:
    assert {file: ",".join(column.name for column in each) for file, each in columns.FILES.items()} == HEADERS


def test_packing_the_same_files_again_changes_nothing() -> None:
    files = District().files()
    other = zip_of(dict(reversed(files.items())), zipfile.ZIP_STORED)
    assert oneroster.read(other).content_hash == oneroster.read(District().zip()).content_hash
    changed = District().put("users.csv", "u1", givenName="Ida")
    assert oneroster.read(changed.zip()).content_hash != oneroster.read(District().zip()).content_hash


def test_a_byte_order_mark_extension_columns_and_further_files_are_passed_over() -> None:
    district = District()
    for file in HEADERS:
        first, *rest = district.text(file).splitlines()
        if file == "orgs.csv":
            first, rest = f"{first},metadata.region", [f"{line},north" for line in rest]
        district.replaced[file] = b"\xef\xbb\xbf" + "\n".join([first, "", *rest]).encode()
    district.manifest["file.demographics"] = "bulk"
    district.replaced["demographics.csv"] = b"never read \xff"
    district.manifest["file.results"] = "absent"
    assert oneroster.read(district.zip()).rows == 26


def raw(file: str, change: Callable[[str], str], encoding: str = "utf-8") -> Change:
    """Change the text of a file."""
    return lambda district: district.replaced.update({file: change(district.text(file)).encode(encoding)})


CASES: dict[str, tuple[Change, str, str]] = {
    "empty cell that is needed": (lambda d: d.put("users.csv", "u2", familyName=" "), "users.csv:3:familyName", "missing"),
    "empty sourcedId": (lambda d: d.put("orgs.csv", "s2", sourcedId=""), "orgs.csv:4:sourcedId", "missing"),
    "boolean of another spelling": (lambda d: d.put("users.csv", "u2", enabledUser="True"), "users.csv:3:enabledUser", "boolean"),
    "boolean as number": (lambda d: d.put("enrollments.csv", "e4", primary="1"), "enrollments.csv:5:primary", "boolean"),
    "unknown org type": (lambda d: d.put("orgs.csv", "s1", type="School"), "orgs.csv:3:type", "unknown-word"),
    "unknown role": (lambda d: d.put("roles.csv", "r2", role="pupil"), "roles.csv:3:role", "unknown-word"),
    "unknown enrollment role": (lambda d: d.put("enrollments.csv", "e1", role="aide"), "enrollments.csv:2:role", "unknown-word"),
    "date of another form": (
        lambda d: d.put("academicSessions.csv", "y", startDate="31.08.2026"),
        "academicSessions.csv:2:startDate",
        "date",
    ),
    "day that is not": (lambda d: d.put("academicSessions.csv", "t1", endDate="2027-02-30"), "academicSessions.csv:3:endDate", "date"),
    "date with time": (lambda d: d.put("enrollments.csv", "e2", endDate="2027-02-20T00:00"), "enrollments.csv:3:endDate", "date"),
    "year of another form": (lambda d: d.put("academicSessions.csv", "y", schoolYear="26/27"), "academicSessions.csv:2:schoolYear", "year"),
    "status in bulk": (lambda d: d.put("users.csv", "u1", status="active"), "users.csv:2:status", "not-empty"),
    "date modified in bulk": (
        lambda d: d.put("courses.csv", "k2", dateLastModified="2026-09-01T00:00:00.000Z"),
        "courses.csv:3:dateLastModified",
        "not-empty",
    ),
    "user ids without braces": (lambda d: d.put("users.csv", "u1", userIds="LMS:1"), "users.csv:2:userIds", "user-ids"),
    "list of nothing": (lambda d: d.put("classes.csv", "c1", termSourcedIds=" , "), "classes.csv:2:termSourcedIds", "list"),
    "id that is too long": (lambda d: d.student("x" * 256), "users.csv:9:sourcedId", "too-long"),
    "cell that is too long": (lambda d: d.put("orgs.csv", "d", name="x" * 4097), "orgs.csv:2:name", "too-long"),
    "id twice": (lambda d: d.rows["users.csv"].append(dict(d.row("users.csv", "u1"))), "users.csv:9:sourcedId", "duplicate-id"),
    "cell too many": (raw("orgs.csv", lambda text: text.rstrip() + ",x\r\n"), "orgs.csv:4", "cells"),
    "cell too few": (raw("orgs.csv", lambda text: text.rstrip()[:-2] + "\r\n"), "orgs.csv:4", "cells"),
    "quote that is not closed": (raw("orgs.csv", lambda text: text + '"x'), "orgs.csv:5", "quoting"),
    "text behind a quote": (raw("orgs.csv", lambda text: text.replace("Brook School", '"Brook" School')), "orgs.csv:3", "quoting"),
    "bytes that are not UTF-8": (raw("users.csv", lambda text: text, "latin-1"), "users.csv:4", "encoding"),
    "UTF-16": (raw("orgs.csv", lambda text: text, "utf-16"), "orgs.csv:1", "encoding"),
    "cell beyond what is read": (lambda d: d.put("orgs.csv", "s1", name="x" * 200_000), "orgs.csv:3", "too-long"),
    "U+0000": (raw("orgs.csv", lambda text: text.replace("Hill", "Hi\0ll")), "orgs.csv:4", "nul"),
    "empty file": (raw("orgs.csv", lambda text: ""), "orgs.csv:1", "no-header"),
    "column left out": (raw("roles.csv", lambda text: text.replace("roleType,", "", 1)), "roles.csv:1:roleType", "missing-column"),
    "columns in another order": (
        raw("orgs.csv", lambda text: text.replace("name,type", "type,name", 1)),
        "orgs.csv:1:name",
        "column-order",
    ),
    "column of another case": (
        raw("orgs.csv", lambda text: text.replace("sourcedId", "sourcedID", 1)),
        "orgs.csv:1:sourcedId",
        "missing-column",
    ),
    "column that is not the binding's": (raw("orgs.csv", lambda text: text.replace("\r\n", ",x\r\n")), "orgs.csv:1:8", "unknown-column"),
    "class of an unknown course": (
        lambda d: d.put("classes.csv", "c1", courseSourcedId="k9"),
        "classes.csv:2:courseSourcedId",
        "unknown-reference",
    ),
    "one unknown term of two": (
        lambda d: d.put("classes.csv", "c2", termSourcedIds="y,t9"),
        "classes.csv:3:termSourcedIds",
        "unknown-reference",
    ),
    "enrollment of an unknown user": (
        lambda d: d.put("enrollments.csv", "e3", userSourcedId="u9"),
        "enrollments.csv:4:userSourcedId",
        "unknown-reference",
    ),
    "unknown parent": (lambda d: d.put("orgs.csv", "s1", parentSourcedId="nowhere"), "orgs.csv:3:parentSourcedId", "unknown-reference"),
    "unknown guardian": (lambda d: d.put("users.csv", "u1", agentSourcedIds="g1,g9"), "users.csv:2:agentSourcedIds", "unknown-reference"),
    "class of a district": (lambda d: d.put("classes.csv", "c1", schoolSourcedId="d"), "classes.csv:2:schoolSourcedId", "not-a-school"),
    "enrollment at another school": (
        lambda d: d.put("enrollments.csv", "e1", schoolSourcedId="s2"),
        "enrollments.csv:2:schoolSourcedId",
        "school-mismatch",
    ),
    "end before begin": (
        lambda d: d.put("enrollments.csv", "e1", beginDate="2026-09-02", endDate="2026-09-01"),
        "enrollments.csv:2:endDate",
        "date-order",
    ),
    "user without role": (lambda d: d.remove("roles.csv", "r2"), "users.csv:3:sourcedId", "no-role"),
    "delta": (lambda d: d.manifest.update({"file.users": "delta"}), "manifest.csv:8:file.users", "delta"),
    "mode that is none": (lambda d: d.manifest.update({"file.users": "full"}), "manifest.csv:8:file.users", "unknown-word"),
    "listed but missing": (lambda d: d.left_out.add("courses.csv"), "manifest.csv:6:file.courses", "missing-file"),
    "there but absent": (lambda d: d.manifest.update({"file.courses": "absent"}), "manifest.csv:6:file.courses", "unlisted-file"),
    "needed and absent": (
        lambda d: (d.manifest.update({"file.courses": "absent"}), d.left_out.add("courses.csv")),
        "manifest.csv:6:file.courses",
        "needed-file",
    ),
    "not in the manifest": (lambda d: d.manifest.pop("file.roles"), "manifest.csv:file.roles", "missing-property"),
    "further file not in the manifest": (lambda d: d.replaced.update({"results.csv": b""}), "results.csv", "unlisted-file"),
    "file that nobody knows": (lambda d: d.manifest.update({"file.pets": "bulk"}), "manifest.csv:11:propertyName", "unknown-file"),
    "older version": (lambda d: d.manifest.update({"oneroster.version": "1.1"}), "manifest.csv:3:oneroster.version", "version"),
    "no manifest": (lambda d: d.left_out.add("manifest.csv"), "manifest.csv", "missing-file"),
    "manifest of three columns": (
        lambda d: d.replaced.update({"manifest.csv": b"propertyName,value\r\nmanifest.version,1.0,x\r\n"}),
        "manifest.csv:2",
        "cells",
    ),
    "property twice": (
        lambda d: d.replaced.update({"manifest.csv": d.files()["manifest.csv"] + b"file.users,bulk\r\n"}),
        "manifest.csv:11:propertyName",
        "duplicate-id",
    ),
    "files in a folder": (lambda d: d.replaced.update({"export/orgs.csv": b""}), "zip member 9", "nested"),
    "path out of the folder": (lambda d: d.replaced.update({"../orgs.csv": b""}), "zip member 9", "nested"),
    "file of another name": (lambda d: d.replaced.update({"Ada Marmalade.txt": b""}), "zip member 9", "unknown-file"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_named_by_place_and_code(case: str) -> None:
    change, place, code = CASES[case]
    district = District()
    change(district)
    assert (place, code) in faults_of(district.zip())


OLDER_USERS = (
    "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,identifier,email,sms,"
    "phone,agentSourcedIds,grades,password\r\nu1,,,true,s1,student,ann,,Ann,Lee,,,,,,,05,\r\n"
)
"""By hand from the CSV binding of OneRoster 1.1."""


@pytest.mark.parametrize(
    ("version", "place"),
    [("1.1", "users.csv:role"), ("1.2", "users.csv:role"), (None, "users.csv:role"), ("1.0", "manifest.csv:oneroster.version")],
)
def test_an_export_of_an_older_oneroster_has_one_fault_that_says_so(version: str | None, place: str) -> None:
    """As it comes, with its manifest changed as a fault of that would ask for, without one, and without users."""
    district = District(left_out={"roles.csv"} if version else {"roles.csv", "manifest.csv"})
    district.manifest |= {"oneroster.version": str(version)}
    del district.manifest["file.roles"]
    if place.startswith("users"):
        district.replaced["users.csv"] = OLDER_USERS.encode()
    else:
        district.left_out.add("users.csv")
    with pytest.raises(BadInput, match=r"1 fault;") as caught:
        oneroster.read(district.zip())
    (fault,) = caught.value.faults
    assert (fault.place, fault.code) == (place, "older-version")
    assert f"OneRoster {'1.0' if version == '1.0' else '1.1'}" in fault.detail
    assert "export OneRoster 1.2" in fault.remedy


def test_no_fault_repeats_what_a_cell_holds() -> None:
    district = District().put("users.csv", "u1", enabledUser="Canary", grades="," * 3, status="Canary", userIds="Canary")
    district.put("enrollments.csv", "e1", userSourcedId="Canary", role="Canary", endDate="Canary").put("orgs.csv", "s1", type="Canary")
    district.replaced["Canary.txt"] = b""
    for _ in range(2):
        with pytest.raises(BadInput) as caught:
            oneroster.read(district.zip())
        assert caught.value.faults
        assert "Canary" not in f"{caught.value} {caught.value.faults}"
        district.replaced.clear()


def test_faults_are_counted_but_not_all_named() -> None:
    district = District()
    for number in range(150):
        district.student(f"n{number}", enabledUser="yes")
    with pytest.raises(BadInput, match="150 faults, the first 100 are named") as caught:
        oneroster.read(district.zip())
    assert len(caught.value.faults) == 100
    assert caught.value.faults[99].place == "users.csv:108:enabledUser"


@pytest.mark.parametrize("content", [b"", b"PK", b"no ZIP at all", District().zip()[:-40], District().zip()[: len(District().zip()) // 2]])
def test_what_is_no_whole_zip_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedInput) as caught:
        oneroster.read(content)
    assert {fault.code for fault in caught.value.faults} == {"not-a-zip"}


def test_a_changed_byte_inside_a_file_is_found() -> None:
    content = bytearray(zip_of(District().files(), zipfile.ZIP_STORED))
    content[content.index(b"Canary-Marmalade")] ^= 1
    with pytest.raises(MalformedInput):
        oneroster.read(bytes(content))


def test_an_encrypted_file_and_one_packed_otherwise_are_refused() -> None:
    content = bytearray(District().zip())
    entry = content.index(b"PK\x01\x02")
    content[entry + 8] |= 1
    assert ("manifest.csv", "encrypted") in faults_of(bytes(content))
    assert ("manifest.csv", "compression") in faults_of(zip_of(District().files(), zipfile.ZIP_BZIP2))


def test_a_file_twice_in_the_zip_is_refused() -> None:
    out = io.BytesIO(District().zip())
    with zipfile.ZipFile(out, "a") as archive_file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive_file.writestr("orgs.csv", b"")
    assert ("orgs.csv", "duplicate-file") in faults_of(out.getvalue())


def test_bombs_are_refused_before_they_are_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = District(replaced={"users.csv": b"x" * 20_000_000})
    many = zip_of({f"{number}.csv": b"" for number in range(archive.MAX_MEMBERS + 1)})
    announced = bytearray(District().zip())
    entry = announced.index(b"PK\x01\x02")
    announced[entry + 24 : entry + 28] = (archive.MAX_UNPACKED_BYTES + 1).to_bytes(4, "little")
    for content, code in (
        (bomb.zip(), "ratio"),
        (many, "members"),
        (bytes(announced), "unpacked-size"),
        (b"x" * (archive.MAX_ARCHIVE_BYTES + 1), "archive-size"),
    ):
        with pytest.raises(TooLarge) as caught:
            oneroster.read(content)
        assert [fault.code for fault in caught.value.faults] == [code]


def test_rows_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_ROWS", 12)
    district = District()
    for number in range(6):
        district.student(f"n{number}")
    assert ("users.csv:14", "rows") in faults_of(district.zip())


@given(
    st.sampled_from(sorted(District().files())),
    st.integers(0, 2_000),
    st.integers(0, 40),
    st.binary(max_size=40) | st.sampled_from([b'"', b",", b"\n", b"{", b" "]),
)
def test_any_damage_to_a_file_is_a_fault_or_harmless(file: str, start: int, length: int, inserted: bytes) -> None:
    files = District().files()
    content = files[file]
    start %= len(content)
    files[file] = content[:start] + inserted + content[start + length :]
    with contextlib.suppress(BadInput):
        plan(oneroster.read(zip_of(files)), "sis", date(2026, 11, 24), bytes(32), Known())


@given(st.integers(0, 20_000), st.binary(min_size=1, max_size=8), st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
def test_any_damage_to_a_zip_is_a_fault_or_harmless(start: int, inserted: bytes, compression: int) -> None:
    content = zip_of(District().files(), compression)
    start %= len(content)
    with contextlib.suppress(BadInput):
        oneroster.read(content[:start] + inserted + content[start + len(inserted) :])


def test_cells_of_spaces_are_empty() -> None:
    roster = oneroster.read(District().put("enrollments.csv", "e1", beginDate=" ", endDate=" ", primary=" ").zip())
    assert roster["enrollments.csv"][0]["endDate"] == ""
