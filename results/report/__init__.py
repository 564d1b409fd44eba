"""The report of a run, or of several: pages that need nothing but themselves."""
