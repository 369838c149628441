"""Pathing owns each learner's path: goals, choices, the steps with a reason each, and the pace.

Hears profile (where learners belong, what they like) and mastery (levels, the framework).
Tells scheduling what each learner needs of a day.
"""
