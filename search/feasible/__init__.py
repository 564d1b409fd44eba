"""The part of a space that a budget allows, counted and drawn from without going through it.

What adds up over the parts of a network, parameters and MACs, is counted by dynamic programming
over the stages; drawing walks the same way back.
"""
