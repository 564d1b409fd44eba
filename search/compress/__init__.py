"""Compression: prune to a budget, then fine-tune; the result is again an architecture."""
