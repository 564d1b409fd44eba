"""`python -m benchmarks costs`: whether the cost model says the truth, and how fast."""
