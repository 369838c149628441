"""HTTP as every service speaks it: problems for errors, strict JSON, pages for lists, health that means progress."""

from shared.http.app import Health, Page, PageAsked, Paging, create_app
from shared.http.body import MAX_BODY_BYTES, read_json, read_model, require_content_type, strict_json
from shared.http.problems import Problem, Sent, WrongContentType, faults_of, parsed, respond_to

__all__ = [
    "MAX_BODY_BYTES",
    "Health",
    "Page",
    "PageAsked",
    "Paging",
    "Problem",
    "Sent",
    "WrongContentType",
    "create_app",
    "faults_of",
    "parsed",
    "read_json",
    "read_model",
    "require_content_type",
    "respond_to",
    "strict_json",
]
