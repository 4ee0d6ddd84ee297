"""Ax over genotypes: the search space as Ax parameters, an objective as runner and metric."""
