"""Mastery has no settings of its own: its numbers are parameter sets, part of the record."""

from shared.settings import Settings

__all__ = ["Settings"]
