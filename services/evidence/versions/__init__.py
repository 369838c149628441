"""Frozen earlier deciders of evidence, for replay."""
