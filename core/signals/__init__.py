"""The decision, the size of a position and of its legs, and the Signal record with its published schema."""
