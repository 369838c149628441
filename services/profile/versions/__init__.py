"""Earlier deciders, frozen, for replay. None yet."""
