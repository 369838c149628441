"""Earlier versions of the deciders that every service shares, kept for replay. Their files are never edited."""
