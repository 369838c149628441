"""Evidence owns every act of assessment as it was told, and what it means: whose it is, and of which competencies.

Tells: accepted, conflicted, recorded, and which items are aligned. Hears profile: which learner an alias is.
"""
