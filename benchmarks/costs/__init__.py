"""`python -m search bench costs`: whether the cost model says the truth, and how fast."""
