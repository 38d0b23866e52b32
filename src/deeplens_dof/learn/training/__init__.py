"""Training: the loops, the recipes, and the examples that they learn from."""
