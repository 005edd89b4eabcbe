"""bt_summary, bt_trades and bt_daily_equity: the tables a backtest leaves behind (SPEC BT-1)."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from core.backtest.candidates import Candidates
from core.backtest.engine import BacktestResult
from core.backtest.summary import Summary
from core.labels.exits import ExitReason
from core.market.pairs import Ints
from core.signals.signal import signal_id


@dataclass(frozen=True)
class Provenance:
    """What a backtest was made from; a column each in every table."""

    model_version: str
    feature_schema_hash: str
    code_hash: str
    data_hash: str
    seed: int


@dataclass(frozen=True)
class Run:
    """One backtest: what it is called (`scope`), the θ it traded at, its result and its summary."""

    scope: str
    theta1: float
    theta2: float
    result: BacktestResult
    summary: Summary


def summary_frame(runs: list[Run], provenance: Provenance) -> pd.DataFrame:
    """bt_summary: one row a run."""
    rows = [
        {
            "scope": run.scope,
            "theta1": run.theta1,
            "theta2": run.theta2,
            "window_start": pd.Timestamp(run.result.window.start, unit="s", tz="UTC").as_unit("us"),
            "window_end": pd.Timestamp(run.result.window.end, unit="s", tz="UTC").as_unit("us"),
            **asdict(run.summary),
        }
        for run in runs
    ]
    return _stamped(pd.DataFrame(rows), provenance)


def trades_frame(run: Run, candidates: Candidates, provenance: Provenance) -> pd.DataFrame:
    """bt_trades: one row a trade in order of decision.

    `qty_a`, `qty_b` are signed lots (negative sells); prices are fills in quote currency, concession and tick rounding
    in them. `move_usd` is the price move from open to open, `cost_usd` what the four fills cost, `swap_usd` the swap
    paid; `pnl_usd` = move − cost − swap. `trade_id` is the id of the signal the model would have sent.
    """
    taken, lots_a, lots_b = run.result.taken, run.result.lots_a, run.result.lots_b
    move = lots_a * candidates.move_a[taken] + lots_b * candidates.move_b[taken]
    cost = lots_a * candidates.cost_a[taken] + lots_b * candidates.cost_b[taken]
    swap = lots_a * candidates.swap_a[taken] + lots_b * candidates.swap_b[taken]
    pair_ids = [candidates.pairs[index] for index in candidates.pair[taken]]
    frame = pd.DataFrame(
        {
            "scope": pd.Series([run.scope] * len(pair_ids), dtype="str"),
            "trade_id": pd.Series(
                [
                    signal_id(pair_id, int(ts), provenance.model_version)
                    for pair_id, ts in zip(pair_ids, candidates.ts[taken], strict=True)
                ],
                dtype="str",
            ),
            "pair_id": pd.Series(pair_ids, dtype="str"),
            "timestamp_decision": _stamps(candidates.decided[taken]),
            "timestamp_entry": _stamps(candidates.entry_ts[taken]),
            "timestamp_exit": _stamps(candidates.exit_ts[taken]),
            "qty_a": lots_a * np.sign(candidates.weight_a[taken]),
            "qty_b": lots_b * np.sign(candidates.weight_b[taken]),
            "price_entry_a": candidates.entry_price_a[taken],
            "price_entry_b": candidates.entry_price_b[taken],
            "price_exit_a": candidates.exit_price_a[taken],
            "price_exit_b": candidates.exit_price_b[taken],
            "gross_usd": run.result.gross_usd,
            "move_usd": move,
            "cost_usd": cost,
            "swap_usd": swap,
            "pnl_usd": move - cost - swap,
            "z": candidates.z[taken],
            "return_prob": candidates.return_prob[taken],
            "risk_score": candidates.risk_score[taken],
            "position_scale": candidates.scale[taken],
            "reason": pd.Series([ExitReason(code).name.lower() for code in candidates.reason[taken]], dtype="str"),
        }
    )
    return _stamped(frame, provenance)


def equity_frame(run: Run, provenance: Provenance) -> pd.DataFrame:
    """bt_daily_equity: one row a daily mark; `drawdown` is the share lost since the highest mark so far."""
    equity = run.result.equity
    peak = np.maximum.accumulate(equity)
    frame = pd.DataFrame(
        {
            "scope": pd.Series([run.scope] * run.result.mark_ts.shape[0], dtype="str"),
            "timestamp": _stamps(run.result.mark_ts),
            "equity_usd": equity[1:],
            "daily_return": run.result.daily_returns,
            "drawdown": (1.0 - equity / peak)[1:],
            "open_positions": run.result.open_positions,
        }
    )
    return _stamped(frame, provenance)


def _stamps(seconds: Ints) -> pd.DatetimeIndex:
    return pd.DatetimeIndex((seconds * 1_000_000).astype("datetime64[us]")).tz_localize("UTC")


def _stamped(frame: pd.DataFrame, provenance: Provenance) -> pd.DataFrame:
    return frame.assign(**asdict(provenance))
