"""What an architecture costs, and whether that is allowed."""
