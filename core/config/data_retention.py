"""data_retention.yaml: how long each kind of data is kept (SPEC DATA-5)."""

from __future__ import annotations

from core.config.model import ConfigModel, PositiveInt


class DataRetention(ConfigModel):
    raw_months: PositiveInt
    canonical_months: PositiveInt
    features_months: PositiveInt
    snapshots_months: PositiveInt
