"""Engines run jobs: here in local processes, elsewhere on a cluster."""
