"""What a report is written from: the tables and numbers a run left behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from core.config.backtest_policy import BacktestPolicy
from core.config.cost_table import CostTable
from core.config.universe import Universe

CANDIDATE_COLUMNS: Final = (
    "pair_id",
    "decided",
    "return_prob",
    "risk_score",
    "weight_a",
    "weight_b",
    "lot_usd_a",
    "lot_usd_b",
    "move_a",
    "move_b",
    "cost_a",
    "cost_b",
    "swap_a",
    "swap_b",
)
"""Columns of candidates.parquet a report reads (see core.backtest.candidates)."""


@dataclass(frozen=True)
class Material:
    """A judged run.

    `identity` is run.json, `verdict` verdict.json, `theta` theta.json, `metrics` metrics.json, `preprocess`
    preprocess_report.json and `filtered` dataset_index_filtered.json. The frames are the Parquet tables of the same
    names, moments in UTC; `candidates` holds CANDIDATE_COLUMNS of every out-of-sample start. `certificates` are
    leak_certificate.json of the training and of the θ search, as far as they are there. `surface` (theta1, theta2,
    value, …) and `stress` (scenario, multiple, sharpe, …) are None where the run has none.
    """

    identity: Mapping[str, Any]
    feature_schema_hash: str
    verdict: Mapping[str, Any]
    theta: Mapping[str, Any]
    metrics: Mapping[str, Any]
    preprocess: Mapping[str, Any]
    filtered: Mapping[str, Any]
    summary: pd.DataFrame
    trades: pd.DataFrame
    equity: pd.DataFrame
    candidates: pd.DataFrame
    predictions: pd.DataFrame
    trials: pd.DataFrame
    surface: pd.DataFrame | None
    stress: pd.DataFrame | None
    index: pd.DataFrame
    universe: Universe
    certificates: tuple[Mapping[str, Any], ...]
    cost_table: CostTable
    policy: BacktestPolicy

    def trades_of(self, scope: str) -> pd.DataFrame:
        """Trades of one backtest, in order of decision."""
        return self.trades[self.trades["scope"] == scope].reset_index(drop=True)

    def equity_of(self, scope: str) -> pd.DataFrame:
        """Daily equity of one backtest, in order of time."""
        return self.equity[self.equity["scope"] == scope].reset_index(drop=True)
