"""A seeded market whose edge, or lack of one, is known (SPEC DATA-1)."""
