"""Settings of profile: it is one of those that make people's ids, and it keeps their keys."""

from shared.settings import DistrictSettings as Settings

__all__ = ["Settings"]
