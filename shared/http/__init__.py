"""HTTP as every service speaks it: problems for errors, strict JSON, pages for lists, health that means progress."""

from shared.http.app import Health, create_app, router_of
from shared.http.asking import events_of
from shared.http.body import MAX_BODY_BYTES, body_of, read_json, read_model, require_content_type, strict_json
from shared.http.paging import FIRST_ID, LAST_ID, NEVER, Page, PageAsked, Paging
from shared.http.problems import Problem, Sent, WrongContentType, faults_of, parsed, problem_responses, respond_to

__all__ = [
    "FIRST_ID",
    "LAST_ID",
    "MAX_BODY_BYTES",
    "NEVER",
    "Health",
    "Page",
    "PageAsked",
    "Paging",
    "Problem",
    "Sent",
    "WrongContentType",
    "body_of",
    "create_app",
    "events_of",
    "faults_of",
    "parsed",
    "problem_responses",
    "read_json",
    "read_model",
    "require_content_type",
    "respond_to",
    "router_of",
    "strict_json",
]
