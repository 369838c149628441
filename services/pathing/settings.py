"""Settings of pathing: those that every service has."""

from shared.settings import Settings

__all__ = ["Settings"]
