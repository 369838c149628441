"""Scheduling: groups, rooms and adults for every period of a school day.

Owns the resources of the schools (spaces, periods, staff, group sizes), the learners' latest demands, and the plan of each day with every
learner's placement. Hears pathing (demands) and profile (staff). Tells days, plans, and each learner's changed day.
"""
