"""How well scores without a training rank networks: inherited weights and zero-cost proxies."""
