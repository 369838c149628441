"""Settings of evidence: it is one of those that make people's ids."""

from shared.settings import DistrictSettings as Settings

__all__ = ["Settings"]
