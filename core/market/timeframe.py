"""Names of time frames and their lengths."""

from __future__ import annotations

from typing import Final

from core.config.pipeline_policy import Timeframe

_SECONDS: Final[dict[Timeframe, int]] = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 14400, "1d": 86400}


def timeframe_seconds(timeframe: Timeframe) -> int:
    """Length of a bar in seconds."""
    return _SECONDS[timeframe]
