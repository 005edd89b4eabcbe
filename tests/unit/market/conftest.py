"""Property tests of this room have no time limit a case: what they judge is the result."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
