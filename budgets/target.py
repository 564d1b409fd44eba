"""A budget together with how its costs are counted: what a network must fit into."""

from __future__ import annotations

from dataclasses import dataclass

from budgets.assess import CostSettings, assess, excess
from budgets.budget import AXES, Budget
from budgets.cost import Cost
from lightir_core.architecture import Architecture

CHEAP = ("params", "macs")
"""Axes that are sums over cached parts; the others take a measurement each."""


@dataclass(frozen=True)
class Target:
    """What the result may cost, and how that is counted."""

    budget: Budget
    cost_settings: CostSettings

    def fits(self, architecture: Architecture) -> bool:
        """Whether an architecture is within budget."""
        return excess(architecture, self.budget, self.cost_settings) is None

    def cost(self, architecture: Architecture) -> Cost:
        """Parameters, MACs and every other axis that the budget limits."""
        return assess(architecture, [axis for axis, _ in self.budget.limits], self.cost_settings)

    def overrun(self, architecture: Architecture) -> float:
        """The largest cost as a share of its limit; at most 1 is within budget."""
        cost = self.cost(architecture)
        return max(getattr(cost, AXES[axis].field) / limit for axis, limit in self.budget.limits)

    def excess(self, architecture: Architecture) -> float:
        """By how much the limits are exceeded, in shares of them, added up over the axes."""
        cost = self.cost(architecture)
        shares = (getattr(cost, AXES[axis].field) / limit for axis, limit in self.budget.limits)
        return sum(max(0.0, share - 1) for share in shares)

    @property
    def cheap(self) -> bool:
        """Whether every axis is."""
        return all(axis in CHEAP for axis, _ in self.budget.limits)
