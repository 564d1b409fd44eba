"""How networks are looked for: the command line, strategies, engines, compression, pipeline."""
