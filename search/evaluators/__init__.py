"""Evaluators score one candidate."""
