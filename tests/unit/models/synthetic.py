"""Pools made up for the tests."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from core.config.core_policy import CorePolicy
from core.config.loader import load_settings
from core.config.retrain_policy import RetrainPolicy
from core.config.settings import Settings
from core.features.table import FEATURE_COLUMNS, FeatureTable
from core.market.pairs import PairBars
from core.models.pooling import pool_pairs
from core.models.samples import Pool
from tests.unit.labels.synthetic import random_pair

CONFIGS = Path(__file__).resolve().parents[3] / "configs"


@cache
def base_settings() -> Settings:
    return load_settings(CONFIGS, "dev")


def policies(**validation: int) -> tuple[CorePolicy, RetrainPolicy]:
    """The base policies with small trees, and the given changes to cross_validation."""
    settings = base_settings()
    retrain = settings.retrain_policy
    small = retrain.models.ai1.model_copy(update={"iterations": 8, "depth": 2})
    models = retrain.models.model_copy(update={"ai1": small, "ai2": small, "ai3": small})
    folds = retrain.cross_validation.model_copy(update=validation)
    return settings.core_policy, retrain.model_copy(update={"models": models, "cross_validation": folds})


def thin(bars: PairBars, table: FeatureTable, keep: np.ndarray) -> tuple[PairBars, FeatureTable]:
    """The pair without some of its bars, as when one leg's market is closed."""
    fields = {name: value[keep] for name, value in vars(bars).items() if isinstance(value, np.ndarray)}
    rows = {name: value[keep] for name, value in vars(table).items() if isinstance(value, np.ndarray)}
    return replace(bars, **fields), replace(table, **rows)


def random_pairs(seed: int, n: int, pairs: int) -> tuple[dict[str, PairBars], dict[str, FeatureTable]]:
    """Pairs on one hourly clock, each with gaps and segments of its own. Every feature column is noise about z."""
    rng = np.random.default_rng(seed)
    bars: dict[str, PairBars] = {}
    tables: dict[str, FeatureTable] = {}
    for number in range(pairs):
        pair_id = f"P{number}"
        pair, table = random_pair(int(rng.integers(1 << 30)), n, filled_share=0.02, segments=1 + number % 2)
        values = table.values.copy()
        for name in ("dz", "z_ema", "slope_spread", "rsi_spread"):
            values[:, FEATURE_COLUMNS.index(name)] = table.column("z") + rng.normal(0.0, 1.0, n)
        pair, table = replace(pair, pair_id=pair_id), replace(table, pair_id=pair_id, values=values)
        bars[pair_id], tables[pair_id] = thin(pair, table, rng.random(n) > 0.05 * number)
    return bars, tables


def random_pool(seed: int, n: int, pairs: int = 3) -> Pool:
    core, retrain = policies()
    return pool_pairs(*random_pairs(seed, n, pairs), core, retrain.cross_validation)
