"""The leak certificate of a training: what is compared, and how (docs/leakage.md)."""
