"""Profile has no settings of its own."""

from shared.settings import Settings

__all__ = ["Settings"]
