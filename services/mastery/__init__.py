"""How sure we are of what a learner can do.

Owns: the framework of competencies, the calibration, each learner's estimates with their uncertainty, and the levels that people are told.
Hears: evidence. Tells: `shared/contracts/mastery.py`.
"""
