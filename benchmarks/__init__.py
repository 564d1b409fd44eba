"""Measurements of the program itself; each is a command, `python -m search bench …`."""
