"""A small district as a OneRoster file set, to be changed cell by cell: two schools, three students, two teachers, a guardian."""

from __future__ import annotations

import csv
import io
import zipfile
from copy import deepcopy
from dataclasses import dataclass, field

HEADERS = {
    "orgs.csv": "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId",
    "academicSessions.csv": "sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear",
    "courses.csv": "sourcedId,status,dateLastModified,schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes",
    "classes.csv": "sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,"
    "termSourcedIds,subjects,subjectCodes,periods",
    "users.csv": "sourcedId,status,dateLastModified,enabledUser,username,userIds,givenName,familyName,middleName,identifier,email,sms,"
    "phone,agentSourcedIds,grades,password,userMasterIdentifier,resourceSourcedIds,preferredGivenName,preferredMiddleName,"
    "preferredFamilyName,primaryOrgSourcedId,pronouns",
    "roles.csv": "sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId",
    "enrollments.csv": "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate",
}
"""Written by hand from the binding, not taken from the code under test."""

ROWS: dict[str, list[dict[str, str]]] = {
    "orgs.csv": [
        {"sourcedId": "d", "name": "Brook District", "type": "district"},
        {"sourcedId": "s1", "name": "Brook School", "type": "school", "parentSourcedId": "d"},
        {"sourcedId": "s2", "name": "Hill School", "type": "school", "parentSourcedId": "d"},
    ],
    "academicSessions.csv": [
        {
            "sourcedId": "y",
            "title": "2026-27",
            "type": "schoolYear",
            "startDate": "2026-08-31",
            "endDate": "2027-06-19",
            "schoolYear": "2027",
        },
        {
            "sourcedId": "t1",
            "title": "Autumn",
            "type": "term",
            "startDate": "2026-08-31",
            "endDate": "2027-01-16",
            "schoolYear": "2027",
            "parentSourcedId": "y",
        },
    ],
    "courses.csv": [
        {
            "sourcedId": "k1",
            "title": "Mathematics 5",
            "orgSourcedId": "d",
            "subjects": "Mathematics",
            "grades": "05",
            "schoolYearSourcedId": "y",
        },
        {"sourcedId": "k2", "title": "Reading 5", "orgSourcedId": "d", "subjects": "Reading"},
    ],
    "classes.csv": [
        {
            "sourcedId": "c1",
            "title": "5a Mathematics",
            "courseSourcedId": "k1",
            "classType": "scheduled",
            "schoolSourcedId": "s1",
            "termSourcedIds": "t1",
        },
        {
            "sourcedId": "c2",
            "title": '5a Reading, "aloud"',
            "courseSourcedId": "k2",
            "classType": "homeroom",
            "schoolSourcedId": "s1",
            "termSourcedIds": "t1,y",
            "subjects": "Reading,Drama",
        },
    ],
    "users.csv": [
        {
            "sourcedId": "u1",
            "enabledUser": "true",
            "username": "ada.m",
            "userIds": "{LMS:lms-1},{LTI:lti-1}",
            "givenName": "Ada",
            "familyName": "Canary-Marmalade",
            "identifier": "1001",
            "email": "ada@brook.example",
            "grades": "05",
            "agentSourcedIds": "g1",
        },
        {
            "sourcedId": "u2",
            "enabledUser": "true",
            "username": "ben.o",
            "givenName": "Ben",
            "familyName": "Okafor",
            "identifier": "1002",
            "grades": "05",
        },
        {
            "sourcedId": "u3",
            "enabledUser": "false",
            "username": "cyd.p",
            "givenName": "Cyd",
            "familyName": "Pérez\nGil",
            "identifier": "1003",
            "grades": "05,06",
        },
        {"sourcedId": "p1", "enabledUser": "true", "username": "dora.q", "givenName": "Dora", "familyName": "Quill", "identifier": "901"},
        {
            "sourcedId": "p2",
            "enabledUser": "true",
            "username": "eve.r",
            "givenName": "Eve",
            "familyName": "Rook",
            "primaryOrgSourcedId": "s2",
        },
        {"sourcedId": "g1", "enabledUser": "true", "username": "fay.m", "givenName": "Fay", "familyName": "Marmalade"},
    ],
    "roles.csv": [
        {"sourcedId": "r1", "userSourcedId": "u1", "roleType": "primary", "role": "student", "orgSourcedId": "s1"},
        {"sourcedId": "r2", "userSourcedId": "u2", "roleType": "primary", "role": "student", "orgSourcedId": "s1"},
        {"sourcedId": "r3", "userSourcedId": "u3", "roleType": "primary", "role": "student", "orgSourcedId": "s2"},
        {"sourcedId": "r4", "userSourcedId": "p1", "roleType": "primary", "role": "teacher", "orgSourcedId": "s1"},
        {"sourcedId": "r5", "userSourcedId": "p2", "roleType": "primary", "role": "aide", "orgSourcedId": "d"},
        {"sourcedId": "r6", "userSourcedId": "g1", "roleType": "primary", "role": "guardian", "orgSourcedId": "s1"},
    ],
    "enrollments.csv": [
        {"sourcedId": "e1", "classSourcedId": "c1", "schoolSourcedId": "s1", "userSourcedId": "u1", "role": "student"},
        {"sourcedId": "e2", "classSourcedId": "c2", "schoolSourcedId": "s1", "userSourcedId": "u1", "role": "student"},
        {"sourcedId": "e3", "classSourcedId": "c1", "schoolSourcedId": "s1", "userSourcedId": "u2", "role": "student"},
        {"sourcedId": "e4", "classSourcedId": "c1", "schoolSourcedId": "s1", "userSourcedId": "p1", "role": "teacher", "primary": "true"},
        {"sourcedId": "e5", "classSourcedId": "c2", "schoolSourcedId": "s1", "userSourcedId": "p1", "role": "teacher", "primary": "false"},
    ],
}


@dataclass
class District:
    """The file set; whatever a test changes in it is in the ZIP."""

    rows: dict[str, list[dict[str, str]]] = field(default_factory=lambda: deepcopy(ROWS))
    manifest: dict[str, str] = field(
        default_factory=lambda: {"manifest.version": "1.0", "oneroster.version": "1.2"} | {f"file.{name[:-4]}": "bulk" for name in ROWS}
    )
    replaced: dict[str, bytes] = field(default_factory=dict)
    """Files with these bytes, whatever their rows."""
    left_out: set[str] = field(default_factory=set)

    def row(self, file: str, sourced_id: str) -> dict[str, str]:
        """Return a row, to be changed."""
        return next(row for row in self.rows[file] if row["sourcedId"] == sourced_id)

    def put(self, file: str, sourced_id: str, **cells: str) -> District:
        """Change cells of a row."""
        self.row(file, sourced_id).update(cells)
        return self

    def remove(self, file: str, *sourced_ids: str) -> District:
        """Take rows out."""
        self.rows[file] = [row for row in self.rows[file] if row["sourcedId"] not in sourced_ids]
        return self

    def student(self, sourced_id: str, school: str = "s1", **cells: str) -> District:
        """Add a student without classes."""
        named = {"enabledUser": "true", "username": f"user.{sourced_id}", "givenName": "Gus", "familyName": "Tern"}
        self.rows["users.csv"].append({"sourcedId": sourced_id} | named | cells)
        role = {"userSourcedId": sourced_id, "roleType": "primary", "role": "student", "orgSourcedId": school}
        self.rows["roles.csv"].append({"sourcedId": f"role-{sourced_id}"} | role)
        return self

    def without_user(self, sourced_id: str) -> District:
        """Take a user out, with her roles and enrollments."""
        self.remove("users.csv", sourced_id)
        for file in ("roles.csv", "enrollments.csv"):
            self.rows[file] = [row for row in self.rows[file] if row["userSourcedId"] != sourced_id]
        return self

    def text(self, file: str) -> str:
        """Return a file as it would be packed."""
        out = io.StringIO()
        names = HEADERS[file].split(",")
        writer = csv.DictWriter(out, names, restval="", lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(self.rows[file])
        return out.getvalue()

    def files(self) -> dict[str, bytes]:
        """Return all files by name."""
        lines = "".join(f"{name},{value}\r\n" for name, value in self.manifest.items())
        files = {"manifest.csv": f"propertyName,value\r\n{lines}".encode()} | {file: self.text(file).encode() for file in self.rows}
        return {name: content for name, content in (files | self.replaced).items() if name not in self.left_out}

    def zip(self) -> bytes:
        """Return the ZIP."""
        return zip_of(self.files())


def with_too_much_of_one() -> District:
    """Return a district with a student of more classes than are told of one person."""
    district = District()
    for number in range(2_000):
        district.rows["classes.csv"].append({**district.row("classes.csv", "c1"), "sourcedId": f"n{number}"})
        district.rows["enrollments.csv"].append(
            {**district.row("enrollments.csv", "e1"), "sourcedId": f"n{number}", "classSourcedId": f"n{number}"}
        )
    return district


def zip_of(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a ZIP of these files, always the same bytes for the same files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return out.getvalue()
