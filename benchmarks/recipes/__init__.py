"""Recipes raced against each other at equal computing time."""
