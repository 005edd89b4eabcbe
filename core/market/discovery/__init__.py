"""Guesses about symbols never seen before, from their names and bars."""
