from __future__ import annotations

import pandas as pd
import pytest

from core.backtest.engine import Window, run_backtest
from core.backtest.frames import Provenance, Run, equity_frame, summary_frame, trades_frame
from core.backtest.summary import summarise
from core.signals.signal import signal_id
from tests.unit.backtest.market import HOUR, costs, marks_of, pair_market, portfolio_of, starts_of

PROVENANCE = Provenance("V", "f" * 64, "c" * 40, "d" * 64, 7)


def run_of(z: list[float]) -> tuple[Run, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    terms = costs(spread_bp=2.0, swap_long_bp_per_night=-0.3)
    market = pair_market(z, start="2024-03-04T20", open_a=[1.1, 1.1, 1.08, 1.08][: len(z)], terms=(terms, terms))
    candidates = starts_of(market)
    window = Window(int(market.bars.ts[0]), int(market.bars.ts[-1]) + HOUR)
    result = run_backtest(candidates, marks_of(market), portfolio_of(market), window, theta1=0.7, theta2=0.3)
    run = Run("adoption", 0.7, 0.3, result, summarise(result, 260))
    return (
        run,
        summary_frame([run], PROVENANCE),
        trades_frame(run, candidates, PROVENANCE),
        equity_frame(run, PROVENANCE),
    )


def test_tables_of_one_trade_agree_with_each_other() -> None:
    run, summary, trades, equity = run_of([2.5, 1.5, 0.3, 0.2])
    trade = trades.iloc[0]
    assert (trade["qty_a"], trade["qty_b"]) == pytest.approx((-2.27, 1.92))
    assert trade["pnl_usd"] == pytest.approx(trade["move_usd"] - trade["cost_usd"] - trade["swap_usd"])
    assert trade["swap_usd"] == pytest.approx(1.92 * 130_000 * 0.3e-4)
    assert trade["reason"] == "reverted"
    assert trade["trade_id"] == signal_id("A-B", int(pd.Timestamp("2024-03-04T20", tz="UTC").timestamp()), "V")
    assert trade["timestamp_entry"] == pd.Timestamp("2024-03-04T21", tz="UTC")
    assert equity["equity_usd"].iloc[-1] == pytest.approx(1e6 + trade["pnl_usd"])
    assert summary["final_equity"].item() == equity["equity_usd"].iloc[-1] == run.result.equity[-1]
    for frame in (summary, trades, equity):
        row = frame.iloc[0]
        assert (row["model_version"], row["seed"], row["scope"]) == ("V", 7, "adoption")
        assert {"feature_schema_hash", "code_hash", "data_hash"} <= set(frame.columns)
        assert not frame.isna().any().any()


def test_tables_without_a_trade_have_the_same_columns_and_types() -> None:
    full, empty = run_of([2.5, 1.5, 0.3, 0.2]), run_of([1.5, 1.5, 0.3, 0.2])
    assert len(empty[2]) == 0
    for some, none in zip(full[1:], empty[1:], strict=True):
        assert list(some.columns) == list(none.columns)
        kept = [name for name in some.columns if name not in PROVENANCE.__dataclass_fields__]
        assert some[kept].dtypes.to_dict() == none[kept].dtypes.to_dict()
        assert not none.isna().any().any()
