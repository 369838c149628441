"""Settings of scheduling: those that every service has."""

from shared.settings import Settings

__all__ = ["Settings"]
