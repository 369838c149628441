"""Frozen earlier deciders of mastery, kept for replay; none yet."""
