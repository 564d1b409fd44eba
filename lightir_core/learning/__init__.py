"""How a network is trained: recipe, step, optimiser, and what can be added to them."""
