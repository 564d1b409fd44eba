"""Measurements of the program itself; `python -m benchmarks --help` lists them."""
