"""Finding θ: the objective, the search and the stabiliser."""
