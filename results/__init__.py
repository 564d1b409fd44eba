"""What was found: the record of a run, Pareto fronts, reports; needs no search engine."""
