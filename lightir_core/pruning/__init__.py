"""Which channels of a network can go, what they are worth, and how they are cut."""
