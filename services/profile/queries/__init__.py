"""What profile answers: people and places as last told, names and titles opened at the moment they are asked for."""

from services.profile.queries.keyring import NAME, TITLE, WORDS, Damage, FreshKey, Key, Keyring, open_name, open_title
from services.profile.queries.reading import Queries
from services.profile.queries.steps import RosterCommand, Steps, asks, is_free, record
from services.profile.queries.views import (
    ClassView,
    ErasureView,
    ImportView,
    LearnerDetail,
    LearnerView,
    PreferenceView,
    SchoolView,
    Sealings,
    StaffView,
    UnderWay,
)

__all__ = [
    "NAME", "TITLE", "WORDS", "ClassView", "Damage", "ErasureView", "FreshKey", "ImportView", "Key", "Keyring", "LearnerDetail",
    "LearnerView", "PreferenceView", "Queries", "RosterCommand", "SchoolView", "Sealings", "StaffView", "Steps", "UnderWay",
    "asks", "is_free", "open_name", "open_title", "record",
]  # fmt: skip
