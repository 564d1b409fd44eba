"""The published systems: designs, presets, and what their released weights are called."""
