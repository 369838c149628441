"""What Cairn is measured against, each a program of its own in an environment of its own: it imports nothing of ours."""
