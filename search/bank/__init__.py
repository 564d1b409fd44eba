"""One set of weights that every network of a space takes its own from."""
