"""Schools as a OneRoster 1.2 CSV ZIP in bulk mode, whole or with one row that cannot be taken."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from demo.framework import SUBJECTS
from demo.school import DISTRICT, GRADES, Person, School

DISTRICT_ID: Final = "org-aldermoor"
YEAR_ID, TERM_ID = "year-2026", "term-fall"
TERM: Final = ("2026-08-31", "2027-06-12")
PACKED_AT: Final = (2026, 9, 1, 0, 0, 0)
BULK: Final = ("academicSessions", "classes", "courses", "enrollments", "orgs", "roles", "users")
ABSENT: Final = (
    "categories", "classResources", "courseResources", "demographics", "lineItemLearningObjectiveIds", "lineItems", "lineItemScoreScales",
    "resources", "resultLearningObjectiveIds", "results", "resultScoreScales", "scoreScales", "userProfiles", "userResources",
)  # fmt: skip
HEADERS: Final[Mapping[str, str]] = {
    "manifest": "propertyName value",
    "orgs": "sourcedId status dateLastModified name type identifier parentSourcedId",
    "academicSessions": "sourcedId status dateLastModified title type startDate endDate parentSourcedId schoolYear",
    "courses": "sourcedId status dateLastModified schoolYearSourcedId title courseCode grades orgSourcedId subjects subjectCodes",
    "classes": (
        "sourcedId status dateLastModified title grades courseSourcedId classCode classType location schoolSourcedId termSourcedIds "
        "subjects subjectCodes periods"
    ),
    "users": (
        "sourcedId status dateLastModified enabledUser username userIds givenName familyName middleName identifier email sms phone "
        "agentSourcedIds grades password userMasterIdentifier resourceSourcedIds preferredGivenName preferredMiddleName "
        "preferredFamilyName primaryOrgSourcedId pronouns"
    ),
    "roles": "sourcedId status dateLastModified userSourcedId roleType role beginDate endDate orgSourcedId userProfileSourcedId",
    "enrollments": "sourcedId status dateLastModified classSourcedId schoolSourcedId userSourcedId role primary beginDate endDate",
}

Row = Mapping[str, str]


def bad_row(school: School) -> str:
    """Return the `sourcedId` of the user whose row is spoilt in `archive(school, spoilt=True)`."""
    return school.learners[len(school.learners) // 3].sourced_id


def archive(*schools: School, spoilt: bool = False) -> bytes:
    """Return the ZIP; the same bytes for the same schools.

    Args:
        spoilt: write `yes` for a boolean in one row of the first school in users.csv, a mistake that spreadsheets make.
    """
    tables = {"manifest": _manifest(), **_tables(schools)}
    if spoilt:
        wrong = bad_row(schools[0])
        tables["users"] = [{**row, "enabledUser": "yes"} if row["sourcedId"] == wrong else row for row in tables["users"]]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, rows in tables.items():
            file.writestr(zipfile.ZipInfo(f"{name}.csv", PACKED_AT), _text(HEADERS[name].split(), rows), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _text(header: Sequence[str], rows: Iterable[Row]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, header, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _manifest() -> list[Row]:
    values = {"manifest.version": "1.0", "oneroster.version": "1.2"}
    values |= {f"file.{name}": "absent" if name in ABSENT else "bulk" for name in sorted((*ABSENT, *BULK))}
    values |= {"source.systemName": "Aldermoor SIS", "source.systemCode": "aldermoor-sis"}
    return [{"propertyName": name, "value": value} for name, value in values.items()]


def _tables(schools: Sequence[School]) -> Mapping[str, list[Row]]:
    return {
        "orgs": [
            {"sourcedId": DISTRICT_ID, "name": DISTRICT, "type": "district"},
            *({"sourcedId": each.sourced_id, "name": each.title, "type": "school", "parentSourcedId": DISTRICT_ID} for each in schools),
        ],
        "academicSessions": [
            {"sourcedId": YEAR_ID, "title": "2026-27", "type": "schoolYear", **_dates(), "schoolYear": "2027"},
            {"sourcedId": TERM_ID, "title": "All year", "type": "term", **_dates(), "parentSourcedId": YEAR_ID, "schoolYear": "2027"},
        ],
        "courses": _courses(schools[0].sourced_id if len(schools) == 1 else DISTRICT_ID),
        "classes": [row for each in schools for row in _classes(each)],
        "users": [row for each in schools for row in _users(each)],
        "roles": [row for each in schools for row in _roles(each)],
        "enrollments": [row for each in schools for row in _enrollments(each)],
    }  # fmt: skip


def _dates() -> Row:
    return {"startDate": TERM[0], "endDate": TERM[1]}


def _courses(org: str) -> list[Row]:
    return [
        {
            "sourcedId": f"course-{subject}-{grade}", "schoolYearSourcedId": YEAR_ID, "title": f"{subject.capitalize()} {int(grade)}",
            "grades": grade, "orgSourcedId": org, "subjects": subject.capitalize(),
        }
        for subject in SUBJECTS for grade in GRADES
    ]  # fmt: skip


def _classes(school: School) -> list[Row]:
    return [
        {
            "sourcedId": each.sourced_id, "title": each.title, "grades": each.grade,
            "courseSourcedId": f"course-{each.subject}-{each.grade}", "classType": "scheduled", "schoolSourcedId": school.sourced_id,
            "termSourcedIds": TERM_ID, "subjects": each.subject.capitalize(),
        }
        for each in school.classes
    ]  # fmt: skip


def _users(school: School) -> list[Row]:
    teachers: list[tuple[Person, str]] = [(person, "") for person in school.teachers]
    return [
        {
            "sourcedId": person.sourced_id, "enabledUser": "true", "username": person.sourced_id, "userIds": f"{{LMS:{person.lms_id}}}",
            "givenName": person.given, "familyName": person.family, "grades": grade, "primaryOrgSourcedId": school.sourced_id,
        }
        for person, grade in [*teachers, *((learner, learner.grade) for learner in school.learners)]
    ]  # fmt: skip


def _roles(school: School) -> list[Row]:
    teachers: list[tuple[Person, str]] = [(person, "teacher") for person in school.teachers]
    return [
        {
            "sourcedId": f"role-{person.sourced_id}", "userSourcedId": person.sourced_id, "roleType": "primary", "role": role,
            "orgSourcedId": school.sourced_id,
        }
        for person, role in [*teachers, *((learner, "student") for learner in school.learners)]
    ]  # fmt: skip


def _enrollments(school: School) -> list[Row]:
    members = [
        (each, person, "teacher", "true" if n == 0 else "false") for each in school.classes for n, person in enumerate(each.teachers)
    ]
    members += [
        (each, learner.sourced_id, "student", "") for each in school.classes for learner in school.section(each.grade, each.section)
    ]
    return [
        {
            "sourcedId": f"enr-{each.sourced_id}-{person}", "classSourcedId": each.sourced_id, "schoolSourcedId": school.sourced_id,
            "userSourcedId": person, "role": role, "primary": primary,
        }
        for each, person, role, primary in members
    ]  # fmt: skip
