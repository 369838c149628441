"""Who the learners are, where they belong, and what they want.

Owns: learners, staff, schools and classes as the roster names them; the aliases by which other systems know a learner; the keys that names
and class titles are sealed under; what learner, teacher and guardian say about how she likes to learn. Hears: nobody. Tells:
`shared/contracts/profile.py`.
"""
