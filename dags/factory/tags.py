"""The only tags a flow may carry."""

from __future__ import annotations

from enum import StrEnum


class Tag(StrEnum):
    """What a flow is about, as the Airflow UI filters it."""

    CORE = "core"
    RETRAIN = "retrain"
    BACKTEST = "backtest"
    THETA = "theta"
    PUBLISH = "publish"
