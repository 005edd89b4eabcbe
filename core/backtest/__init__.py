"""Replay of decisions on past bars with honest fills, costs and capital, and the verdict on a model."""
