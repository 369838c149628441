"""Frozen earlier deciders, kept for replay."""
