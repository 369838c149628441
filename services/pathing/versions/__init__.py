"""Frozen earlier deciders, kept for replay. None yet."""
